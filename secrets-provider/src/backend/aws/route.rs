//! Whether a call goes by a proxy, and which variable says so.
//!
//! The SDK's client reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, and each in lower case,
//! by the rules of hyper-util, which are asked here, too. `setup` calls this after a failure. Of a
//! proxy only the variable is shown: its URL may contain a password, even in the place of the host.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::env::Environment;

const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Set by a server that runs a CGI program, whose HTTP_PROXY may be a header of the request.
const CGI: &str = "REQUEST_METHOD";

/// How a call reaches its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    /// By the proxy of this variable.
    Proxy(&'static str),
    /// By a proxy of this variable that speaks SOCKS, which the SDK does not.
    Socks(&'static str),
    /// Directly, although a variable names a proxy, because another one excepts the host.
    Excepted {
        proxy: &'static str,
        by: &'static str,
    },
    /// Directly, because what this variable holds is not the URL of a proxy.
    Ignored(&'static str),
    /// Directly, because only `.env` sets this variable.
    OnlyInDotenv(&'static str),
}

/// Whether this is one of the variables that decide.
pub(super) fn is_variable(name: &str) -> bool {
    name == CGI || [HTTPS, HTTP, ALL, EXCEPTIONS].iter().flatten().any(|variable| *variable == name)
}

/// How a call to this URL goes.
pub(super) fn route(url: &str, environment: &Environment) -> Route {
    let Ok(uri) = url.parse::<Uri>() else { return Route::Direct };
    let Some((proxy, intercept)) = proxy(&uri, environment) else {
        let own = if uri.scheme_str() == Some("https") { HTTPS } else { HTTP };
        let names = || own.into_iter().chain(ALL);
        let in_process = |name: &&str| environment.raw(name).is_some_and(|raw| !raw.is_empty());
        let ignored = names().find(in_process).filter(|_| !environment.is_in_process(CGI));
        let in_dotenv = || names().find(|name| environment.of_dotenv(name).is_some());
        return match (ignored, in_dotenv()) {
            (Some(name), _) => Route::Ignored(name),
            (None, Some(name)) => Route::OnlyInDotenv(name),
            (None, None) => Route::Direct,
        };
    };
    let exceptions = first(EXCEPTIONS, environment);
    let matches = |(_, exceptions): &(_, &str)| {
        Matcher::builder().all("http://proxy").no(*exceptions).build().intercept(&uri).is_none()
    };
    match exceptions.filter(matches) {
        Some((by, _)) => Route::Excepted { proxy, by },
        None if intercept.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) => {
            Route::Socks(proxy)
        }
        None => Route::Proxy(proxy),
    }
}

/// The variable of the proxy for calls by HTTPS, whatever is excepted.
pub(super) fn https_proxy(environment: &Environment) -> Option<&'static str> {
    Some(proxy(&Uri::from_static("https://endpoint"), environment)?.0)
}

fn proxy(uri: &Uri, environment: &Environment) -> Option<(&'static str, Intercept)> {
    let own = if uri.scheme_str() == Some("https") { HTTPS } else { HTTP };
    let values = [own, ALL].into_iter().filter_map(|names| first(names, environment));
    let mut proxies = values.filter_map(|(name, value)| {
        Some((name, Matcher::builder().all(value).build().intercept(uri)?))
    });
    proxies.next().filter(|_| !environment.is_in_process(CGI))
}

/// The first of two variables that is set, even if it is empty, as the client does.
fn first<'a>(
    names: [&'static str; 2],
    environment: &'a Environment,
) -> Option<(&'static str, &'a str)> {
    names.into_iter().find_map(|name| Some((name, environment.raw(name)?)))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn environment(process: &[(&str, &str)], dotenv: &[(&str, &str)]) -> Environment {
        let owned = |variables: &[(&str, &str)]| -> Vec<_> {
            let variables = variables.iter();
            variables
                .map(|(n, value)| ((*n).to_owned(), Zeroizing::new((*value).to_owned())))
                .collect()
        };
        Environment::new(owned(process), owned(dotenv))
    }

    #[test]
    fn the_variable_that_counts_is_named() {
        let proxy = "http://user:hunter2@proxy:3128";
        let excepted = |proxy, by| Route::Excepted { proxy, by };
        for (variables, https, http) in [
            (&[][..], Route::Direct, Route::Direct),
            (&[("HTTPS_PROXY", proxy)], Route::Proxy("HTTPS_PROXY"), Route::Direct),
            (&[("http_proxy", proxy)], Route::Direct, Route::Proxy("http_proxy")),
            (
                &[("ALL_PROXY", proxy), ("https_proxy", "proxy:1")],
                Route::Proxy("https_proxy"),
                Route::Proxy("ALL_PROXY"),
            ),
            // An empty variable hides the one in lower case.
            (
                &[("HTTPS_PROXY", ""), ("https_proxy", proxy)],
                Route::Ignored("https_proxy"),
                Route::Direct,
            ),
            (&[("HTTPS_PROXY", "ftp://proxy")], Route::Ignored("HTTPS_PROXY"), Route::Direct),
            (&[("HTTPS_PROXY", "socks5://proxy")], Route::Socks("HTTPS_PROXY"), Route::Direct),
            (
                &[("ALL_PROXY", proxy), ("NO_PROXY", "localhost,.amazonaws.com")],
                excepted("ALL_PROXY", "NO_PROXY"),
                Route::Proxy("ALL_PROXY"),
            ),
            (
                &[("ALL_PROXY", proxy), ("no_proxy", "10.0.0.0/8")],
                Route::Proxy("ALL_PROXY"),
                excepted("ALL_PROXY", "no_proxy"),
            ),
            (&[("ALL_PROXY", proxy), (CGI, "GET")], Route::Direct, Route::Direct),
        ] {
            let environment = environment(variables, &[]);
            let aws = route("https://secretsmanager.us-east-1.amazonaws.com", &environment);
            assert_eq!(aws, https, "{:?}", variables.iter().map(|(name, _)| name));
            assert_eq!(route("http://10.1.2.3:4566", &environment), http);
        }
        let environment = environment(&[], &[("HTTPS_PROXY", proxy)]);
        assert_eq!(route("https://a", &environment), Route::OnlyInDotenv("HTTPS_PROXY"));
        assert_eq!(route("not a url", &environment), Route::Direct);
    }
}
