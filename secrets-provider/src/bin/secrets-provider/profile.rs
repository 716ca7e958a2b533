//! `--profile`: the credentials of an AWS profile, whatever keys the environment has, as with the
//! `aws` client. The SDK's own chain would take the keys of the environment first.

use aws_config::SdkConfig;
use aws_config::profile::{ProfileFileCredentialsProvider, load};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::os_shim_internal::{Env, Fs};
use secrets_provider::{Error, ErrorKind};

use crate::output::printable;

/// This configuration with the credentials of the profile.
///
/// # Errors
///
/// If there is no such profile.
pub(crate) async fn on(config: &SdkConfig, profile: &str) -> Result<SdkConfig, Error> {
    // What is wrong in a file, the library says about the calls that need it.
    let found = load(&Fs::real(), &Env::real(), &Default::default(), None).await.ok();
    if found.is_some_and(|found| found.get_profile(profile).is_none()) {
        let message = format!("there is no AWS profile `{}`", printable(profile));
        return Err(Error::new(ErrorKind::Config, message).with_hint(
            "correct --profile: `aws configure list-profiles` lists those of ~/.aws/config and \
             ~/.aws/credentials, or of the files of AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
        ));
    }
    // A role that the profile assumes is asked for in this region.
    let of_provider = ProviderConfig::default().with_region(config.region().cloned());
    let provider = ProfileFileCredentialsProvider::builder()
        .profile_name(profile)
        .configure(&of_provider)
        .build();
    let provider = SharedCredentialsProvider::new(provider);
    Ok(config.to_builder().credentials_provider(provider).build())
}
