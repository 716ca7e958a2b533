//! The library's hints in the words of this program: `--only` where a Rust program writes
//! `.only(..)`.
//!
//! Pure. `output` and `doctor` call it with each text that they show. A test reads the library's
//! sources and fails if a hint names a method that is not here.

use std::borrow::Cow;

use secrets_provider::Error;

/// What the library says, and what this program says in its place. The first that fits is taken.
const WORDS: [(&str, &str); 42] = [
    (
        "`SecretsManager::names([..])`, or `.only([..])` after the prefix",
        "`--names`, or `--only` beside `--prefix`",
    ),
    ("`iam_policy()` prints the agent's policy", "`policy` prints the agent's policy"),
    (
        "set one of them, such as `SECRETS_MANAGER_PREFIX=",
        "give `--prefix` or `--names`, or set one of them, such as `SECRETS_MANAGER_PREFIX=",
    ),
    (
        ": `manager.rotate(..)` has the store do it, `aws",
        ": `rotate` without a switch has the store do it, `aws",
    ),
    (
        "or rotate it by this program: `manager.rotation(..)`",
        "or make the value here, with a switch of `rotate` such as `--password`",
    ),
    ("rotate it by this program: `manager.rotation(..)`", "give a switch such as `--password`"),
    (
        "call `.password(..)`, `.key(..)` or `.generate(..)`",
        "give `--password`, `--random-key` or `--database-url-key`",
    ),
    (
        "`prefix(..)` takes the text as it is: use `format!`, or \
         `SecretsManager::from_env_or_prefix(..)`, which replaces `{env}` by the value of ENVIRONMENT",
        "`--prefix` takes the text as it is; SECRETS_MANAGER_PREFIX replaces `{env}` by the value of \
         ENVIRONMENT",
    ),
    ("and read one of its keys with `.key(..)`", "and read one of its keys with `--key`"),
    ("give Vault's own by `ca_cert(..)`", "give Vault's own by VAULT_CACERT"),
    (
        "add it to `names(..)`, `only(..)` or `optional(..)`",
        "add it to `--names`, `--only` or `--optional`",
    ),
    ("only AWS Secrets Manager has one; `Push` takes a client of its own", "leave out `--backend`"),
    (
        "by default, the SDK tries, in this order, the environment (",
        "sign in (`aws sso login`), give the machine a role, or set keys; the SDK tries, in this \
         order, the environment (",
    ),
    ("`.optional(..)`", "`--optional`"),
    ("`.fallback_to_env()`", "`--optional`"),
    (
        "rebuild the member that contains it by `.also(..)`, or allow it by `.keep(..)`; nothing \
         was stored",
        "give the key of a database's URL with `--database-url-key`, or store the whole secret with \
         `put`; nothing was stored",
    ),
    (
        "a slow rotation goes on, and `.rotate(..).timeout(..)` waits longer for it. ",
        "a slow rotation goes on: look again with `get NAME`. ",
    ),
    ("; `.timeout(..)` sets the limit", ""),
    ("`.timeout(..)` sets the limit", "try it again"),
    ("`.step_timeout(..)` sets the limit", "try it again"),
    ("remove `.stage(..)`", "leave out `--version`"),
    ("`.stage(..)`", "`--version`"),
    ("`.only(..)`", "`--only`"),
    ("`.rename(..)`", "`--rename`"),
    ("`.profile(..)`", "`--profile`"),
    ("leave `only` out, or start from `SecretsManager::prefix(..)`", "give `--prefix`, too"),
    ("`only` picks secrets", "`--only` picks secrets"),
    ("leave `only` out", "leave out `--only`"),
    ("with `SecretsManager::prefix(..)`", "with `--prefix`"),
    ("`SecretsManager::prefix(..)`", "`--prefix`"),
    ("with `SecretsManager::names([arn])`", "with `--names`"),
    ("`SecretsManager::names([arn])`", "`--names`"),
    ("or use `SecretsManager::from_env`, which hands over what `.env` sets", "in place of `.env`"),
    (
        "load a configuration by aws-config with its feature `credentials-login`, and give it by \
         `.aws_config(..)`",
        "take another kind of sign-on, such as IAM Identity Center (`aws sso login`)",
    ),
    ("`ca_cert(..)`, or VAULT_CACERT", "VAULT_CACERT"),
    ("set `mount(..)` or `namespace(..)`", "set `--mount` or VAULT_NAMESPACE"),
    (
        "call `token(..)`, `app_role(..)` or `kubernetes(..)` on `Vault`",
        "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or give `--kubernetes-role`",
    ),
    ("; one with `sso` or `credential_process` needs the feature of that name)", ")"),
    ("for files in folders, use `Directory::new`", "give a folder with folders in it"),
    ("names are taken as they are: use `format!`", "names are taken as they are"),
    (
        "set `region` in the `SdkConfig` or client, such as with \
         `aws_config::from_env().region(..)`",
        "set AWS_REGION, or give `--region`",
    ),
    (
        "set AWS_REGION; the SDK also reads",
        "set AWS_REGION, or give `--region`; the SDK also reads",
    ),
];

/// The start of a prefix that the library suggests.
const SUGGESTED: &str = "`SecretsManager::prefix(\"";

/// What an error says, without what to do.
pub(crate) fn without_hint(error: &Error) -> String {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

/// A text of the library, in words of this program.
pub(crate) fn of_program(text: &str) -> Cow<'_, str> {
    let mut said = Cow::Borrowed(text);
    for (library, program) in WORDS {
        if said.contains(library) {
            said = Cow::Owned(said.replace(library, program));
        }
    }
    while let Some((before, (prefix, after))) = said
        .split_once(SUGGESTED)
        .and_then(|(before, rest)| Some((before, rest.split_once("\")`")?)))
    {
        said = Cow::Owned(format!("{before}`--prefix {prefix}`{after}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn methods_become_switches() {
        for (library, program) in [
            (
                "name the secrets with `.only(..)`, or allow",
                "name the secrets with `--only`, or allow",
            ),
            ("check it; `.timeout(..)` sets the limit", "check it"),
            (
                "select all below `a` with `SecretsManager::prefix(\"a\")`",
                "select all below `a` with `--prefix a`",
            ),
            ("nothing of the library", "nothing of the library"),
        ] {
            assert_eq!(of_program(library), program);
        }
    }

    /// What this program never asks the library for.
    const NEVER_MET: [&str; 12] = [
        // What this program has no switch for.
        "`.or_region(..)`",
        // Features and clients that are compiled in.
        "`.client(..)` or `.aws_config(..)`",
        "enable the feature `aws`, or give one with `.backend(..)`",
        "`Push::client(..)`, or the manager an `SdkConfig`, by `.aws_config(..)`",
        // Closures and types of a program.
        "a closure of `layers`",
        "`Push::",
        "give `role(..)` an ARN",
        // A store that is not in this program.
        "read the secret itself: `SecretsManager::names",
        "`Live::",
        "`Lookup::",
        "`.alternate(..)` names both users",
        "`.probe_timeout(..)` sets the limit",
    ];

    #[test]
    fn no_hint_of_the_library_names_a_method_that_is_not_here() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut unknown = Vec::new();
        for file in sources(&root) {
            let text = std::fs::read_to_string(&file).expect("a source");
            // Tests quote hints, and follow the code.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: String = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            // A string goes on after a backslash at the end of a line.
            let mut joined = String::new();
            for line in code.split_inclusive('\n') {
                match joined.strip_suffix("\\\n") {
                    Some(before) => joined = format!("{before}{}", line.trim_start()),
                    None => joined += line,
                }
            }
            for line in joined.lines().filter(|line| line.contains('"')) {
                let line = line.replace("\\\"", "\"");
                let said = of_program(&line);
                let met = !NEVER_MET.iter().any(|never| said.contains(never));
                let named = ["(..)`", "`SecretsManager::", "`Directory::", "`Vault::"];
                if met && named.iter().any(|named| said.contains(named)) {
                    unknown.push(format!("{}: {}", file.display(), line.trim()));
                }
            }
        }
        assert_eq!(unknown, [""; 0], "give each a row in `WORDS`");
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one"));
        entries
            .flat_map(|entry| match entry.path() {
                path if path.is_dir() && path.ends_with("bin") => Vec::new(),
                path if path.is_dir() && path.ends_with("tests") => Vec::new(),
                path if path.is_dir() => sources(&path),
                path if path.ends_with("tests.rs") => Vec::new(),
                path => vec![path],
            })
            .collect()
    }
}
