//! The errors of the service, with AWS's codes and messages.

use std::borrow::Cow;

/// An error as the service answers it: `__type`, HTTP status and message.
///
/// Messages never hold a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) status: u16,
    pub(crate) message: String,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        Self { code: code.into(), status, message: message.into() }
    }

    fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, 400, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::resource_not_found("Secrets Manager can't find the specified secret.")
    }

    pub(crate) fn resource_not_found(message: impl Into<String>) -> Self {
        Self::bad_request("ResourceNotFoundException", message)
    }

    pub(crate) fn no_value_for_label(label: &str) -> Self {
        Self::resource_not_found(format!(
            "Secrets Manager can't find the specified secret value for staging label: {label}"
        ))
    }

    pub(crate) fn no_value_for_version(version_id: &str) -> Self {
        Self::resource_not_found(format!(
            "Secrets Manager can't find the specified secret value for VersionId: {version_id}"
        ))
    }

    pub(crate) fn marked_for_deletion() -> Self {
        Self::invalid_request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::bad_request("InvalidRequestException", message)
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::bad_request("InvalidParameterException", message)
    }

    pub(crate) fn resource_exists(message: impl Into<String>) -> Self {
        Self::bad_request("ResourceExistsException", message)
    }

    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::bad_request("LimitExceededException", message)
    }

    pub(crate) fn invalid_next_token() -> Self {
        Self::bad_request("InvalidNextTokenException", "Invalid token")
    }

    /// The check of a request against the service's model, made before the operation runs.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::bad_request("ValidationException", message)
    }

    /// As AWS words a broken length or range: no value is named, as it could be a secret.
    pub(crate) fn constraint(member: &str, rule: impl AsRef<str>) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
             Member must {}",
            rule.as_ref()
        ))
    }

    pub(crate) fn serialization() -> Self {
        // The decoder's own message would quote the value it stumbled over.
        Self::bad_request(
            "SerializationException",
            "The request body isn't what the operation takes.",
        )
    }

    pub(crate) fn throttling() -> Self {
        Self::bad_request("ThrottlingException", "Rate exceeded")
    }

    pub(crate) fn access_denied(message: impl Into<String>) -> Self {
        Self::bad_request("AccessDeniedException", message)
    }

    pub(crate) fn is_denial(&self) -> bool {
        self.code == "AccessDeniedException"
    }

    pub(crate) fn decryption_failure() -> Self {
        Self::bad_request(
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        )
    }

    pub(crate) fn encryption_failure() -> Self {
        Self::bad_request(
            "EncryptionFailure",
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key.",
        )
    }
}
