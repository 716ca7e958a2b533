//! The table of slips in profiles and their files, and in further variables.
//!
//! Values that must not be shown are `canary`. Files that are no UTF-8 are below, because the table
//! holds text.

use super::{Slip, output_says, with_set_up};

type Variable = (&'static str, &'static str);

const REGION: Variable = ("AWS_REGION", "us-east-1");
const PROFILE: Variable = ("AWS_PROFILE", "app");
const KEY_ID: Variable = ("AWS_ACCESS_KEY_ID", "canary");
const SECRET_KEY: Variable = ("AWS_SECRET_ACCESS_KEY", "canary");

/// A slip of the kind `config`.
const fn config(
    variables: &'static [Variable],
    files: &'static [(&'static str, &'static str)],
    sentence: &'static str,
    hint: &'static str,
) -> Slip {
    Slip { variables, files, kind: "config", sentence, hint }
}

pub(super) const SLIPS: &[Slip] = &[
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\ncredential_source = canary\n",
        )],
        "`credential_source` of the profile `app`: expected `Ec2InstanceMetadata`",
        "correct",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = canary\nsource_profile = base\n[profile base]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "`role_arn` of the profile `app`: expected the ARN of a role",
        "correct",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = app\n",
        )],
        "`source_profile` of the profile `app` leads back to it",
        "with credentials",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = app\n",
        )],
        "`source_profile` of the profile `app` leads back to it",
        "with credentials",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = b\n[profile b]\nregion = us-east-1\n",
        )],
        "the profile `b`, from which the profile `app` takes them, has no credentials",
        "source_profile",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = base\ncredential_source = Environment\n[profile base]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "has both `source_profile` and `credential_source`",
        "remove one",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\ncredential_source = Environment\n",
        )],
        "takes credentials from the environment (`credential_source`), which has none",
        "AWS_ACCESS_KEY_ID",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\ncredential_source = EcsContainer\n",
        )],
        "takes credentials from the container (`credential_source`), which offers none",
        "task role",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\ncredential_source = Ec2InstanceMetadata\n",
        )],
        "whose metadata is off",
        "AWS_EC2_METADATA_DISABLED",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nweb_identity_token_file = /nowhere/canary\n",
        )],
        "the file that `web_identity_token_file` names cannot be read",
        "mount the token",
    ),
    config(
        &[REGION, PROFILE],
        &[
            (
                ".aws/config",
                "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nweb_identity_token_file = token\n",
            ),
            ("token", ""),
        ],
        "the file that `web_identity_token_file` names is empty",
        "mount the token",
    ),
    config(
        &[REGION, PROFILE],
        &[(".aws/config", "[profile app]\nweb_identity_token_file = token\n")],
        "has `web_identity_token_file`, but no `role_arn`",
        "add the ARN",
    ),
    config(
        &[REGION, PROFILE, ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")],
        &[(
            ".aws/config",
            "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nmfa_serial = arn:aws:iam::123456789012:mfa/a\nsource_profile = base\n[profile base]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "has `mfa_serial`, and the SDK asks for no code",
        "without MFA",
    ),
    config(
        &[REGION, PROFILE],
        &[(".aws/config", "[profile app]\nlogin_session = canary\n")],
        "the profile `app` signs in by `aws login`",
        "credentials-login",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "[default]\naws_access_key_id =\naws_secret_access_key = canary\n")],
        "`aws_access_key_id` of the AWS profile `default`: expected a value, found none",
        "correct",
    ),
    config(
        &[REGION],
        &[(
            ".aws/credentials",
            "[default]\naws_access_key_id = \"canary\"\naws_secret_access_key = \"canary\"\n",
        )],
        "of the AWS profile `default`: expected a value without quotes",
        "correct",
    ),
    config(
        &[REGION],
        &[(
            ".aws/credentials",
            "[default]\naws_acces_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "the AWS profile has `aws_acces_key_id`, which the SDK does not read",
        "rename it to `aws_access_key_id`",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "[default]\naccess_key = canary\nsecret_key = canary\n")],
        "the AWS profile has `access_key`",
        "rename it to `aws_access_key_id`",
    ),
    config(
        &[REGION],
        &[(
            ".aws/credentials",
            "[work]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "`AWS_PROFILE` is not set, and no file has a profile `default`",
        "set `AWS_PROFILE`",
    ),
    config(
        &[REGION, PROFILE],
        &[(
            ".aws/credentials",
            "[profile app]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "`~/.aws/credentials` has `[profile app]`",
        "write `[app]`",
    ),
    config(
        &[REGION],
        &[(
            ".aws/credentials",
            "\u{feff}[default]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        )],
        "`~/.aws/credentials` begins with a byte order mark",
        "save it as UTF-8",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "aws_access_key_id = canary\n")],
        "the SDK refuses line 1 of `~/.aws/credentials`",
        "a setting with `=`",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "[default]\naws_access_key_id: canary\n")],
        "the SDK refuses line 2 of `~/.aws/credentials`",
        "a setting with `=`",
    ),
    config(
        &[REGION],
        &[(".aws/credentials", "{\"aws_access_key_id\": \"canary\"}")],
        "the SDK refuses line 1 of `~/.aws/credentials`",
        "a setting with `=`",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY],
        &[(".aws/config", "[default]\nretry_mode = canary\n")],
        "`retry_mode` of the AWS profile `default`: expected `standard`",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY],
        &[(".aws/config", "[default]\nendpoint_url = canary:4566\n")],
        "`endpoint_url` of the AWS profile `default`: expected a URL",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY],
        &[(
            ".aws/config",
            "[default]\nservices = s\n[services s]\nsecrets_manager =\n  endpoint_url = canary:4566\n",
        )],
        "`endpoint_url` of the AWS profile `default`: expected a URL",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY],
        &[(".aws/config", "[default]\nservices = canary\n")],
        "`services` of the AWS profile `default`: expected the name",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY],
        &[(".aws/config", "[default]\nuse_fips_endpoint = yes\n")],
        "`use_fips_endpoint` of the AWS profile `default`: expected `true` or `false`",
        "correct",
    ),
    config(
        &[KEY_ID, SECRET_KEY],
        &[(".aws/config", "[default]\nregoin = us-east-1\n")],
        "no AWS region is configured: the AWS profile has `regoin`",
        "rename it to `region`",
    ),
    config(
        &[KEY_ID, SECRET_KEY],
        &[(".aws/config", "[default\nregion = us-east-1\n")],
        "no AWS region is configured: the SDK refuses line 1 of `~/.aws/config`",
        "a section in",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY, ("AWS_USE_FIPS_ENDPOINT", "canary")],
        &[],
        "`AWS_USE_FIPS_ENDPOINT`: expected `true` or `false`",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY, ("AWS_USE_DUALSTACK_ENDPOINT", "canary")],
        &[],
        "`AWS_USE_DUALSTACK_ENDPOINT`: expected `true` or `false`",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, SECRET_KEY, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "canary")],
        &[],
        "`AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`: expected `true` or `false`",
        "correct",
    ),
    config(
        &[REGION, ("AWS_EC2_METADATA_DISABLED", "canary")],
        &[],
        "`AWS_EC2_METADATA_DISABLED`: expected `true` or `false`",
        "correct",
    ),
    config(
        &[REGION, ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "canary")],
        &[],
        "`AWS_EC2_METADATA_SERVICE_ENDPOINT`: expected a URL",
        "correct",
    ),
    config(
        &[REGION, ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "canary")],
        &[],
        "expected `IPv4` or `IPv6`",
        "correct",
    ),
    config(
        &[REGION, ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token"), ("AWS_ROLE_ARN", "canary")],
        &[("token", "canary")],
        "`AWS_ROLE_ARN`: expected the ARN of a role",
        "correct",
    ),
    config(
        &[
            REGION,
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app"),
            ("AWS_ENDPOINT_URL_STS", "canary"),
        ],
        &[("token", "canary")],
        "`AWS_ENDPOINT_URL_STS`: expected a URL",
        "correct",
    ),
    config(
        &[REGION, ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "canary")],
        &[],
        "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`: expected a path",
        "correct",
    ),
    config(
        &[REGION, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://canary.example.com/")],
        &[],
        "`AWS_CONTAINER_CREDENTIALS_FULL_URI`: expected `https://`",
        "correct",
    ),
    config(
        &[
            REGION,
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary\ncanary"),
        ],
        &[],
        "`AWS_CONTAINER_AUTHORIZATION_TOKEN`: expected one line",
        "correct",
    ),
    config(
        &[REGION, ("AWS_ACCESS_KEY", "canary"), ("AWS_SECRET_KEY", "canary")],
        &[],
        "variable `AWS_ACCESS_KEY` is set, which the SDK does not read",
        "rename it to `AWS_ACCESS_KEY_ID`",
    ),
    config(
        &[REGION, ("aws_access_key_id", "canary"), ("aws_secret_access_key", "canary")],
        &[],
        "variable `aws_access_key_id` is set",
        "rename it to `AWS_ACCESS_KEY_ID`",
    ),
    config(
        &[REGION, ("AWS_DEFAULT_PROFILE", "canary")],
        &[],
        "variable `AWS_DEFAULT_PROFILE` is set",
        "rename it to `AWS_PROFILE`",
    ),
    config(
        &[("AWS_REGION_NAME", "canary")],
        &[],
        "no AWS region is configured: variable `AWS_REGION_NAME` is set",
        "rename it to `AWS_REGION`",
    ),
    config(
        &[("REGION", "canary")],
        &[],
        "no AWS region is configured: variable `REGION` is set",
        "rename it to `AWS_REGION`",
    ),
    config(
        &[("AWS_REGION", "us-esat-1"), KEY_ID, SECRET_KEY],
        &[],
        "not found by DNS, and AWS has no such region",
        "set AWS_REGION to `us-east-1`",
    ),
    config(
        &[("AWS_REGION", "aws-global"), KEY_ID, SECRET_KEY],
        &[],
        "expected a region such as `us-east-1`, not all of them",
        "correct",
    ),
    config(
        &[REGION, SECRET_KEY, ("AWS_ACCESS_KEY_ID", "${canary}")],
        &[],
        "`AWS_ACCESS_KEY_ID`: expected a value, found a placeholder",
        "correct",
    ),
    config(
        &[REGION, KEY_ID, ("AWS_SECRET_ACCESS_KEY", "AKIACANARYCANARYCANA")],
        &[],
        "found a key's id (are the two swapped?)",
        "correct",
    ),
    config(
        &[REGION, KEY_ID],
        &[(".env", "AWS_SECRET_ACCESS_KEY=canary")],
        "`AWS_SECRET_ACCESS_KEY` is set only in `.env`, but `AWS_ACCESS_KEY_ID` is not",
        "from_env",
    ),
    config(
        &[
            REGION,
            KEY_ID,
            SECRET_KEY,
            ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
            ("SSL_CERT_FILE", "/nowhere/canary"),
        ],
        &[],
        "the file that `SSL_CERT_FILE` names cannot be read",
        "unset it",
    ),
    config(
        &[
            REGION,
            KEY_ID,
            SECRET_KEY,
            ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
            ("SSL_CERT_FILE", "HOME/certificates"),
        ],
        &[("certificates", "canary")],
        "the file that `SSL_CERT_FILE` names has no certificates in PEM",
        "unset it",
    ),
    config(
        &[
            REGION,
            KEY_ID,
            SECRET_KEY,
            ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
            ("SSL_CERT_DIR", "/nowhere/canary"),
        ],
        &[],
        "no folder that `SSL_CERT_DIR` names can be read",
        "unset it",
    ),
    Slip {
        variables: &[
            REGION,
            KEY_ID,
            SECRET_KEY,
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_SECRETSMANAGER", "canary"),
        ],
        files: &[],
        kind: "unavailable",
        sentence: "the endpoint refuses connections",
        hint: "rename it to `AWS_ENDPOINT_URL_SECRETS_MANAGER`",
    },
];

/// As a Windows editor saves it.
#[test]
fn a_profile_file_in_utf_16_is_named() {
    let text = "\u{feff}[default]\naws_access_key_id = canary\n";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let variables = [REGION];
    let output =
        with_set_up("errors::slips::with_a_slip", &variables, &[(".aws/credentials", bytes)]);
    assert!(output_says(
        &output,
        "config",
        "`~/.aws/credentials` is not UTF-8",
        "save it as UTF-8"
    ));
}
