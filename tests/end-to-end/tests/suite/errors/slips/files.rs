//! The table of slips in how the lines of profile files are written, in what profiles name, and in
//! names of variables that nothing reads.
//!
//! Values that must not be shown are `canary`.

use super::Slip;

type Variable = (&'static str, &'static str);
type File = (&'static str, &'static str);

const REGION: Variable = ("AWS_REGION", "us-east-1");
const APP: Variable = ("AWS_PROFILE", "app");
const KEYS: [Variable; 2] = [("AWS_ACCESS_KEY_ID", "canary"), ("AWS_SECRET_ACCESS_KEY", "canary")];

/// A slip of the kind `config`.
const fn config(
    variables: &'static [Variable],
    files: &'static [File],
    sentence: &'static str,
    hint: &'static str,
) -> Slip {
    Slip { variables, files, kind: "config", sentence, hint }
}

pub(super) const SLIPS: &[Slip] = &[
    config(
        &[REGION],
        &[(
            ".aws/credentials",
            "[default]\n  aws_access_key_id = canary\n  aws_secret_access_key = canary\n",
        )],
        "the SDK refuses line 2 of `~/.aws/credentials`",
        "is not indented",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "[default]\n  # canary\naws_access_key_id = canary\n")],
        "the SDK refuses line 2 of `~/.aws/credentials`",
        "is not indented",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "[default] canary\naws_access_key_id = canary\n")],
        "the SDK refuses line 1 of `~/.aws/credentials`",
        "a section in `[` and `]`",
    ),
    config(
        &[REGION, ("AWS_SHARED_CREDENTIALS_FILE", "HOME/keys")],
        &[("keys", "# canary\n[default]\raws_access_key_id = canary\r")],
        "the SDK refuses line 2 of the file that `AWS_SHARED_CREDENTIALS_FILE` names",
        "a section in `[` and `]`",
    ),
    config(
        &[],
        &[(".aws/config", "[default]\nregion = us-east-1\n  output = canary\n")],
        "`region` of the AWS profile: expected one line",
        "line 2 of `~/.aws/config`",
    ),
    config(
        &[],
        &[(".aws/config", "[default]\nregion =\n")],
        "`region` of the AWS profile is empty",
        "set AWS_REGION",
    ),
    config(
        &[REGION],
        &[(
            ".aws/credentials",
            "[default]\naws_access_key_id = canary\naws_secret_access_key = canary\n  canary\n",
        )],
        "`aws_secret_access_key` of the AWS profile `default`: expected one line",
        "line 3 of `~/.aws/credentials`",
    ),
    config(
        &[REGION, APP],
        &[(".aws/config", "[profile \"app\"]\naws_access_key_id = canary\n")],
        "the profile `app` has quotes around its name",
        "without quotes",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "[profile default]\naws_access_key_id = canary\n")],
        "`~/.aws/credentials` has `[profile default]`",
        "write `[default]`",
    ),
    config(
        &[REGION, ("AWS_PROFILE", "produciton")],
        &[(".aws/credentials", "[production]\naws_access_key_id = canary\n")],
        "the profile `produciton` that `AWS_PROFILE` names is in no file",
        "set it to `production`, if that is meant",
    ),
    config(
        &[REGION],
        &[(".env", "AWS_PROFILE=admin")],
        "the profile `admin` that `AWS_PROFILE` names is in no file, and `AWS_PROFILE` is set only \
         in `.env`",
        "from_env",
    ),
    config(
        &[REGION],
        &[(".env", "AWS_SHARED_CREDENTIALS_FILE=canary")],
        "`AWS_SHARED_CREDENTIALS_FILE` is set only in `.env`",
        "from_env",
    ),
    config(
        &[REGION, APP],
        &[(".aws/credentials", "[default]\naws_access_key_id = canary\n[app]\n")],
        "the profile `app` that `AWS_PROFILE` names has no credentials",
        "another profile",
    ),
    config(
        &[REGION, APP],
        &[(".aws/config", "[profile app]\nsource_profile = canary\n")],
        "the profile `app` has `source_profile`, but no `role_arn`",
        "the role to assume",
    ),
    config(
        &[REGION, APP],
        &[
            (
                ".aws/config",
                "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = b\n",
            ),
            (".aws/credentials", "[b]\naws_access_key_id = canary\n"),
        ],
        "the profile `b` has no `aws_secret_access_key`",
        "both keys",
    ),
    config(
        &[REGION, APP],
        &[
            (
                ".aws/config",
                "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = b\n",
            ),
            (
                ".aws/credentials",
                "[b]\naws_access_key_id = 'canary'\naws_secret_access_key = canary\n",
            ),
        ],
        "`aws_access_key_id` of the profile `b`: expected a value without quotes",
        "line 2",
    ),
    config(
        &[REGION, APP],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = b\n[b]\n",
        )],
        "`source_profile` of the profile `app` names the profile `b`, whose heading the SDK ignores",
        "write `[profile <name>]`",
    ),
    config(
        &[REGION, APP],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::1234:role/x\nsource_profile = b\n[profile b]\n\
             aws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "`role_arn` of the profile `app`: expected the ARN of a role",
        "line 2 of `~/.aws/config`",
    ),
    config(
        &[REGION, KEYS[0], KEYS[1]],
        &[(
            ".aws/config",
            "[default]\nservices = s\n[services s]\nsecretsmanager =\n  endpoint_url = http://canary\n",
        )],
        "expected the service's name `secrets_manager`",
        "line 4 of `~/.aws/config`",
    ),
    config(
        &[REGION, KEYS[0], KEYS[1]],
        &[(
            ".aws/config",
            "[default]\nservices = s\n[services s]\nsecrets_manager =\nendpoint_url = http://canary\n",
        )],
        "expected an indented line, below `secrets_manager =`",
        "line 5 of `~/.aws/config`",
    ),
    config(
        &[REGION, KEYS[0], KEYS[1]],
        &[(
            ".aws/config",
            "[default]\nservices = s\n[services s]\nsecrets_manager = http://canary\n",
        )],
        "`secrets_manager` of the AWS profile `default`: expected nothing after `=`",
        "line 4 of `~/.aws/config`",
    ),
    config(
        &[REGION, KEYS[0], ("AWS_SECRET_KEY", "canary")],
        &[],
        "`AWS_SECRET_ACCESS_KEY` is not set, but `AWS_ACCESS_KEY_ID` is set",
        "rename it to `AWS_SECRET_ACCESS_KEY`",
    ),
    config(
        &[REGION, ("AWS_CREDENTIALS_FILE", "/canary")],
        &[],
        "variable `AWS_CREDENTIALS_FILE` is set, which the SDK does not read",
        "rename it to `AWS_SHARED_CREDENTIALS_FILE`",
    ),
    config(
        &[REGION],
        &[(".env", "AWS_SECRET_KEY=canary")],
        "variable `AWS_SECRET_KEY` is set, which the SDK does not read",
        "rename it to `AWS_SECRET_ACCESS_KEY`",
    ),
    config(
        &[("AWS_REGION", "virginia"), KEYS[0], KEYS[1]],
        &[],
        "`AWS_REGION`: expected a region of AWS",
        "correct",
    ),
    config(
        &[REGION, KEYS[0], KEYS[1], ("AWS_USE_FIPS_ENDPOINT", " true")],
        &[],
        "`AWS_USE_FIPS_ENDPOINT`: expected no white space",
        "correct",
    ),
    config(
        &[REGION, KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "http://${CANARY}:4566")],
        &[],
        "`AWS_ENDPOINT_URL`: expected a URL",
        "correct",
    ),
    config(
        &[
            REGION,
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "HOME/token"),
        ],
        &[("token", "canary\n")],
        "the file that `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` names ends with a line's end",
        "without anything around it",
    ),
    config(
        &[REGION, KEYS[0], KEYS[1], ("SSL_CERT_FILE", "HOME/ca")],
        &[("ca", "-----BEGIN CERTIFICATE-----\n!canary!\n-----END CERTIFICATE-----\n")],
        "the file that `SSL_CERT_FILE` names has no certificates in PEM",
        "correct `SSL_CERT_FILE`",
    ),
    Slip {
        variables: &[REGION, KEYS[0], KEYS[1]],
        files: &[(".env", "AWS_ENDPOINT_URL=http://canary.invalid")],
        kind: "unavailable",
        sentence: "the endpoint",
        hint: "`AWS_ENDPOINT_URL` is set only in `.env`",
    },
];
