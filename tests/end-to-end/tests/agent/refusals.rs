//! What the agent refuses, and what becomes of it: another token, another try, or an error that
//! says what to do.

use secrets_provider::{Agent, Error, ErrorKind, Layers, Live, SecretsManager};
use serde::Deserialize;
use serde_json::json;

use crate::stand_in::{StandIn, TOKEN};

#[derive(Debug, Deserialize)]
struct Settings {
    token: String,
}

async fn read(agent: Agent) -> Result<String, Error> {
    let manager = SecretsManager::prefix("app").only(["token"]).backend(agent);
    let snapshot = manager.fetch().await?;
    snapshot.extract::<Settings>().map(|settings| settings.token)
}

fn agent(server: &StandIn) -> Agent {
    Agent::local().address(server.url()).token(TOKEN)
}

#[tokio::test]
async fn a_new_token_is_read_when_the_old_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("awssmatoken");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = StandIn::start().await;
    server.put("app/token", "value");
    let agent = Agent::local().address(server.url()).token_file(&file);
    assert_eq!(read(agent.clone()).await.unwrap(), "value");

    // The agent was restarted.
    "another".clone_into(&mut server.known().token);
    server.requests();
    let error = read(agent.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
    assert!(error.hint().unwrap().contains("file:///var/run/awssmatoken"), "{error:?}");
    assert_eq!(server.requests().len(), 1, "the same token is not sent again");

    std::fs::write(&file, "another").unwrap();
    assert_eq!(read(agent.clone()).await.unwrap(), "value");
    assert_eq!(server.requests().len(), 2);
    assert_eq!(read(agent).await.unwrap(), "value");
    assert_eq!(server.requests().len(), 1, "the new token is kept");
}

/// A refused token says nothing about the secret, so the settings do not do without it.
#[tokio::test]
async fn a_refused_token_makes_no_optional_secret_absent() {
    let server = StandIn::start().await;
    server.put("app/token", "value");
    let manager = SecretsManager::prefix("app").only(["token"]).optional(["token"]);
    let manager = manager.backend(agent(&server).token("wrong"));
    let error = manager.fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
}

#[tokio::test]
async fn an_extension_that_does_not_serve_yet_is_asked_again_for_a_while() {
    let server = StandIn::start().await;
    server.put("app/token", "value");
    server.known().not_ready = 2;
    assert_eq!(read(agent(&server)).await.unwrap(), "value");
    assert_eq!(server.requests().len(), 3);

    server.known().not_ready = u32::MAX;
    let error = read(agent(&server)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().unwrap().contains("in the first one"), "{error:?}");
    assert_eq!(server.requests().len(), 6, "bounded");
}

#[tokio::test]
async fn a_bare_prefix_is_refused_with_what_to_do() {
    let server = StandIn::start().await;
    let manager = SecretsManager::prefix("app").backend(agent(&server));
    let error = manager.fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("prefix `app`"), "{error}");
    assert!(error.hint().unwrap().contains(".only([..])"), "{error:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn each_answer_has_its_kind_and_the_agents_own_words_are_not_shown() {
    const HIDDEN: &str = "hunter2hunter2";
    let of_aws =
        |code: &str| json!({ "__type": code, "message": format!("kept: {HIDDEN}") }).to_string();
    let server = StandIn::start().await;
    for (status, body, kind, expected) in [
        (429, format!("Connection limit {HIDDEN}"), ErrorKind::Throttled, "connections"),
        (400, format!("Forwarded {HIDDEN}"), ErrorKind::Config, "proxy"),
        (400, of_aws("MaxRolesExceeded"), ErrorKind::Config, "20"),
        (404, HIDDEN.to_owned(), ErrorKind::Config, "status 404"),
        (503, HIDDEN.to_owned(), ErrorKind::Unavailable, "status 503"),
        (200, format!("<html>{HIDDEN}"), ErrorKind::Unavailable, "incomplete"),
        (400, of_aws("AccessDeniedException"), ErrorKind::AccessDenied, "the agent's role"),
        (400, of_aws("DecryptionFailure"), ErrorKind::Kms, "KMS"),
        (400, of_aws("ThrottlingException"), ErrorKind::Throttled, "throttled"),
        (400, of_aws("ExpiredTokenException"), ErrorKind::AccessDenied, "AWS credentials"),
        (500, of_aws("InternalFailure"), ErrorKind::Unavailable, "InternalFailure"),
        (504, of_aws("TimeoutError"), ErrorKind::Unavailable, "TimeoutError"),
        (502, of_aws("ConnectionError"), ErrorKind::Unavailable, "ConnectionError"),
        (500, of_aws("<script>"), ErrorKind::Unavailable, "an unknown code"),
    ] {
        server.known().instead = Some((status, body.clone()));
        let error = read(agent(&server)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        let shown = format!("{error} {error:#?}");
        assert!(shown.contains(expected), "{status} {body}: {shown}");
        assert!(!shown.contains(HIDDEN), "{shown}");
    }
}

#[tokio::test]
async fn the_agents_role_for_a_secret_is_given_and_named() {
    const ROLE: &str = "arn:aws:iam::123456789012:role";
    let server = StandIn::start().await;
    server.put("app/token", "value");
    let with_role = |role: &str| read(agent(&server).role(role));
    assert_eq!(with_role(&format!("{ROLE}/app")).await.unwrap(), "value");
    let role = "roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fapp";
    assert_eq!(server.requests(), [format!("app%2Ftoken&{role}")]);
    let error = with_role(&format!("{ROLE}/denied")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
    assert!(error.to_string().contains("may not assume `arn:aws:iam"), "{error}");
    let error = with_role("app").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_costs_one_refresh_and_no_value() {
    let server = StandIn::start().await;
    server.put("app/token", "value");
    let manager = SecretsManager::prefix("app").only(["token"]).backend(agent(&server));
    let live: Live<Settings> = Live::builder(manager)
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap();
    server.known().cuts_off = true;
    let error = live.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(live.load().token, "value");
    server.known().cuts_off = false;
    live.refresh().await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named_with_its_address() {
    // Bound and released: nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let agent = Agent::local().address(format!("http://127.0.0.1:{port}")).token(TOKEN);
    let error = read(agent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.to_string().contains("nothing listens"), "{error}");
}

#[tokio::test]
async fn the_policy_is_that_of_the_agents_role() {
    let server = StandIn::start().await;
    let manager = SecretsManager::prefix("app").only(["a", "b"]).backend(agent(&server));
    let policy = manager.iam_policy();
    for action in ["GetSecretValue", "DescribeSecret", "kms:Decrypt"] {
        assert!(policy.contains(action), "{action} in {policy}");
    }
    for action in ["ListSecrets", "BatchGetSecretValue"] {
        assert!(!policy.contains(action), "{action} in {policy}");
    }
}
