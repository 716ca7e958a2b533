//! The table of slips in the SDK's variables and files.
//!
//! Values that must not be shown are `canary`.

use super::Slip;

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "canary"), ("AWS_SECRET_ACCESS_KEY", "canary")];

const REGION: &[(&str, &str)] = &[("AWS_REGION", "us-east-1")];

const NO_FILES: Slip = Slip { variables: &[], files: &[], kind: "", sentence: "", hint: "" };

pub(super) const SLIPS: &[Slip] = &[
    Slip {
        variables: &[("AWS_REGION", "\"canary\"")],
        kind: "config",
        sentence: "`AWS_REGION`: expected a value without quotes",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], ("AWS_SECRET_ACCESS_KEY", "'canary'")],
        kind: "config",
        sentence: "`AWS_SECRET_ACCESS_KEY`: expected a value without quotes",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[],
        files: &[(".aws/config", "[default]\nregion = us-east-1a\n")],
        kind: "config",
        sentence: "`region` of the AWS profile: expected a region",
        hint: "correct",
    },
    Slip {
        variables: &[],
        kind: "config",
        sentence: "no AWS region is configured",
        hint: "AWS_REGION",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_REGION", "")],
        kind: "config",
        sentence: "`AWS_REGION` is empty",
        hint: "set AWS_REGION",
        ..NO_FILES
    },
    Slip {
        variables: &[],
        files: &[(".env", "AWS_REGION=canary")],
        kind: "config",
        sentence: "`AWS_REGION` is set only in `.env`",
        hint: "from_env",
    },
    Slip {
        variables: &[],
        files: &[(".env", "AWS_DEFAULT_REGION=canary")],
        kind: "config",
        sentence: "`AWS_DEFAULT_REGION` is set only in `.env`",
        hint: "from_env",
    },
    Slip {
        variables: &[("AWS_REGION", "us-east-1a")],
        kind: "config",
        sentence: "`AWS_REGION`",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_PROFILE", "admin")],
        kind: "config",
        sentence: "profile `admin` that `AWS_PROFILE` names is in no file",
        hint: "~/.aws/config",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_PROFILE", "a canary?")],
        kind: "config",
        sentence: "the profile that `AWS_PROFILE` names is in no file",
        hint: "~/.aws",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_CONFIG_FILE", "/nowhere/canary")],
        kind: "config",
        sentence: "the file that `AWS_CONFIG_FILE` names cannot be read",
        hint: "correct `AWS_CONFIG_FILE`",
        ..NO_FILES
    },
    Slip {
        variables: REGION,
        kind: "config",
        sentence: "no AWS credentials were found",
        hint: "AWS_ACCESS_KEY_ID",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_PROFILE", "admin")],
        files: &[(".aws/config", "[default]\nregion = us-east-1\n")],
        kind: "config",
        sentence: "profile `admin` that `AWS_PROFILE` names is in no file",
        hint: "~/.aws/credentials",
    },
    Slip {
        variables: &[REGION[0], ("AWS_SHARED_CREDENTIALS_FILE", "HOME/canary")],
        kind: "config",
        sentence: "the file that `AWS_SHARED_CREDENTIALS_FILE` names cannot be read",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0]],
        kind: "config",
        sentence: "`AWS_SECRET_ACCESS_KEY` is not set, but `AWS_ACCESS_KEY_ID` is",
        hint: "set both",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[1]],
        kind: "config",
        sentence: "`AWS_ACCESS_KEY_ID` is not set, but `AWS_SECRET_ACCESS_KEY` is",
        hint: "set both",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], ("AWS_SECRET_ACCESS_KEY", "")],
        kind: "config",
        sentence: "`AWS_SECRET_ACCESS_KEY` is empty, but `AWS_ACCESS_KEY_ID` is set",
        hint: "set both",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_SESSION_TOKEN", "canary")],
        kind: "config",
        sentence: "but `AWS_SESSION_TOKEN` is set",
        hint: "set both",
        ..NO_FILES
    },
    Slip {
        variables: REGION,
        files: &[(".env", "AWS_ACCESS_KEY_ID=canary")],
        kind: "config",
        sentence: "`AWS_ACCESS_KEY_ID` is set only in `.env`",
        hint: "from_env",
    },
    Slip {
        variables: REGION,
        files: &[(".aws/credentials", "[default]\naws_access_key_id = canary\n")],
        kind: "config",
        sentence: "profile `default` has no `aws_secret_access_key`",
        hint: "both keys",
    },
    Slip {
        variables: &[REGION[0], ("AWS_PROFILE", "app")],
        files: &[(".aws/config", "[profile app]\nrole_arn = canary\n")],
        kind: "config",
        sentence: "profile `app` has `role_arn`, but no source",
        hint: "source_profile",
    },
    Slip {
        variables: &[
            REGION[0],
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/canary"),
            ("AWS_ROLE_ARN", "canary"),
        ],
        kind: "config",
        sentence: "the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names cannot be read",
        hint: "mount the token",
        ..NO_FILES
    },
    Slip {
        variables: &[
            REGION[0],
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token"),
            ("AWS_ROLE_ARN", "canary"),
        ],
        files: &[("token", "\n")],
        kind: "config",
        sentence: "the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names is empty",
        hint: "mount the token",
    },
    Slip {
        variables: &[
            REGION[0],
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token"),
            ("AWS_ROLE_ARN", "canary"),
        ],
        files: &[("token", ""), (".aws/config", "[default]\nregion = us-east-1\n")],
        kind: "config",
        sentence: "the file that `AWS_WEB_IDENTITY_TOKEN_FILE` names is empty",
        hint: "mount the token",
    },
    Slip {
        variables: &[REGION[0], ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token")],
        files: &[("token", "canary")],
        kind: "config",
        sentence: "`AWS_ROLE_ARN` is not set, but `AWS_WEB_IDENTITY_TOKEN_FILE` is",
        hint: "set `AWS_ROLE_ARN`",
    },
    Slip {
        variables: &[REGION[0], ("AWS_ROLE_ARN", "canary")],
        kind: "config",
        sentence: "`AWS_WEB_IDENTITY_TOKEN_FILE` is not set, but `AWS_ROLE_ARN` is",
        hint: "EKS",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "canary")],
        kind: "config",
        sentence: "`AWS_CONTAINER_CREDENTIALS_FULL_URI` is not a URL",
        hint: "http://",
        ..NO_FILES
    },
    Slip {
        variables: &[
            REGION[0],
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "HOME/canary"),
        ],
        kind: "config",
        sentence: "the file that `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` names cannot be read",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "canary:4566")],
        kind: "config",
        sentence: "`AWS_ENDPOINT_URL`: expected a URL",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "ftp://canary")],
        kind: "config",
        sentence: "scheme `https://` or `http://`",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "http://")],
        kind: "config",
        sentence: "`AWS_ENDPOINT_URL`: expected a URL",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "canary")],
        kind: "config",
        sentence: "`AWS_ENDPOINT_URL_SECRETS_MANAGER`: expected a URL",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "http://[canary")],
        kind: "config",
        sentence: "`AWS_ENDPOINT_URL`: expected a URL",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_MAX_ATTEMPTS", "canary")],
        kind: "config",
        sentence: "`AWS_MAX_ATTEMPTS`: expected a whole number",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_MAX_ATTEMPTS", "0")],
        kind: "config",
        sentence: "`AWS_MAX_ATTEMPTS`: expected a whole number",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_RETRY_MODE", "canary")],
        kind: "config",
        sentence: "`AWS_RETRY_MODE`: expected `standard` or",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")],
        kind: "unavailable",
        sentence: "refuses connections",
        hint: "AWS_ENDPOINT_URL",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "http://canary.invalid")],
        kind: "unavailable",
        sentence: "name is not found by DNS",
        hint: "DNS",
        ..NO_FILES
    },
    Slip {
        variables: &[
            REGION[0],
            KEYS[0],
            KEYS[1],
            ("AWS_ENDPOINT_URL", ""),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1"),
        ],
        kind: "unavailable",
        sentence: "refuses connections",
        hint: "AWS_ENDPOINT_URL",
        ..NO_FILES
    },
    Slip {
        variables: &[
            REGION[0],
            KEYS[0],
            KEYS[1],
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", ""),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ],
        kind: "unavailable",
        sentence: "refuses connections",
        hint: "AWS_ENDPOINT_URL",
        ..NO_FILES
    },
    // An empty endpoint counts as unset, and this region has no such host.
    Slip {
        variables: &[("AWS_REGION", "xx-nowhere-1"), KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "")],
        kind: "unavailable",
        sentence: "name is not found by DNS",
        hint: "DNS",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_REGION", "us-east-1 "), KEYS[0], KEYS[1]],
        kind: "config",
        sentence: "`AWS_REGION`: expected no white space",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_REGION", "US-EAST-1"), KEYS[0], KEYS[1]],
        kind: "config",
        sentence: "`AWS_REGION`: expected a region such as `us-east-1`: lower case",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_DEFAULT_REGION", "us_east_1"), KEYS[0], KEYS[1]],
        kind: "config",
        sentence: "`AWS_DEFAULT_REGION`: expected a region such as",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[("AWS_REGION", "https://canary"), KEYS[0], KEYS[1]],
        kind: "config",
        sentence: "`AWS_REGION`: expected a region such as",
        hint: "correct",
        ..NO_FILES
    },
    // On the end of a line, the SDK panics.
    Slip {
        variables: &[REGION[0], ("AWS_ACCESS_KEY_ID", "canary\n"), KEYS[1]],
        kind: "config",
        sentence: "`AWS_ACCESS_KEY_ID`: expected visible ASCII characters",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], ("AWS_SECRET_ACCESS_KEY", " canary")],
        kind: "config",
        sentence: "`AWS_SECRET_ACCESS_KEY`: expected visible ASCII characters",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "canary canary")],
        kind: "config",
        sentence: "`AWS_SESSION_TOKEN`: expected visible ASCII characters",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", " http://127.0.0.1:1")],
        kind: "config",
        sentence: "`AWS_ENDPOINT_URL`: expected no white space",
        hint: "correct",
        ..NO_FILES
    },
    Slip {
        variables: &[REGION[0], ("AWS_PROFILE", "admin ")],
        files: &[(".aws/credentials", "[admin]\n")],
        kind: "config",
        sentence: "`AWS_PROFILE`: expected no white space",
        hint: "correct",
    },
    Slip {
        variables: &[REGION[0], ("AWS_PROFILE", "admin")],
        files: &[(".aws/config", "[admin]\nregion = us-east-1\n")],
        kind: "config",
        sentence: "`~/.aws/config` has `[admin]` without the word `profile`",
        hint: "write `[profile admin]`",
    },
    Slip {
        variables: &[REGION[0], ("AWS_PROFILE", "app")],
        files: &[(".aws/config", "[profile app]\nrole_arn = canary\nsource_profile = canary\n")],
        kind: "config",
        sentence: "`source_profile` of the profile `app` names a profile that is in no file",
        hint: "correct `source_profile`",
    },
    Slip {
        variables: &[
            REGION[0],
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://198.51.100.1/canary"),
        ],
        kind: "config",
        sentence: "the configuration of AWS credentials is not valid",
        hint: "_FULL_URI",
        ..NO_FILES
    },
];
