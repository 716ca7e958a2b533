//! The error codes of Secrets Manager, and what each means.
//!
//! `aws/error` words them, and `agent/error`: the agent passes them on. The codes are those that
//! AWS documents; what is not in the table is reported by its code and HTTP status.

/// What a code of Secrets Manager means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    NotFound,
    NoCurrentVersion,
    Denied,
    CannotDecrypt,
    PendingDeletion,
    Throttled,
    /// The credentials themselves are not accepted, for any secret.
    BadCredentials,
    BadRequest,
    /// The request did not arrive in the form that Secrets Manager reads, for any secret.
    Garbled,
}

/// The meaning of a code and, where one code has several, of a phrase in its message (in lower
/// case). The first line that fits counts. The codes are those of the service, those common to all
/// services (CommonErrors), and those of the SDK's own list of throttling codes. Services differ in
/// the ending `Exception`, so the codes here have none (see [`stem`]).
const MEANINGS: [(&str, &str, Meaning); 66] = [
    ("ResourceNotFound", "staging label", Meaning::NoCurrentVersion),
    ("ResourceNotFound", "", Meaning::NotFound),
    ("AccessDenied", "", Meaning::Denied),
    ("UnauthorizedOperation", "", Meaning::Denied),
    ("DecryptionFailure", "", Meaning::CannotDecrypt),
    ("EncryptionFailure", "", Meaning::CannotDecrypt),
    ("InvalidRequest", "delet", Meaning::PendingDeletion),
    ("Throttling", "", Meaning::Throttled),
    ("Throttled", "", Meaning::Throttled),
    ("RequestThrottled", "", Meaning::Throttled),
    ("EC2Throttled", "", Meaning::Throttled),
    ("TooManyRequests", "", Meaning::Throttled),
    ("RequestLimitExceeded", "", Meaning::Throttled),
    ("ProvisionedThroughputExceeded", "", Meaning::Throttled),
    ("TransactionInProgress", "", Meaning::Throttled),
    ("PriorRequestNotComplete", "", Meaning::Throttled),
    ("LimitExceeded", "", Meaning::Throttled),
    ("SlowDown", "", Meaning::Throttled),
    ("BandwidthLimitExceeded", "", Meaning::Throttled),
    ("ExpiredToken", "", Meaning::BadCredentials),
    ("TokenRefreshRequired", "", Meaning::BadCredentials),
    ("InvalidToken", "", Meaning::BadCredentials),
    ("InvalidTokenId", "", Meaning::BadCredentials),
    ("InvalidClientTokenId", "", Meaning::BadCredentials),
    ("InvalidIdentityToken", "", Meaning::BadCredentials),
    ("InvalidAccessKeyId", "", Meaning::BadCredentials),
    ("InvalidSecurity", "", Meaning::BadCredentials),
    ("InvalidSecurityToken", "", Meaning::BadCredentials),
    ("UnrecognizedClient", "", Meaning::BadCredentials),
    ("InvalidSignature", "", Meaning::BadCredentials),
    ("SignatureDoesNotMatch", "", Meaning::BadCredentials),
    ("IncompleteSignature", "", Meaning::BadCredentials),
    ("MissingAuthenticationToken", "", Meaning::BadCredentials),
    ("MissingSecurityHeader", "", Meaning::BadCredentials),
    ("MissingSecurityElement", "", Meaning::BadCredentials),
    ("AuthorizationHeaderMalformed", "", Meaning::BadCredentials),
    ("AuthFailure", "", Meaning::BadCredentials),
    ("NotAuthorized", "", Meaning::BadCredentials),
    ("Unauthorized", "", Meaning::BadCredentials),
    ("UnauthorizedAccess", "", Meaning::BadCredentials),
    ("RequestExpired", "", Meaning::BadCredentials),
    ("RequestTimeTooSkewed", "", Meaning::BadCredentials),
    ("RequestInTheFuture", "", Meaning::BadCredentials),
    ("OptInRequired", "", Meaning::BadCredentials),
    ("SubscriptionRequired", "", Meaning::BadCredentials),
    ("NotSignedUp", "", Meaning::BadCredentials),
    ("AccountProblem", "", Meaning::BadCredentials),
    ("AllAccessDisabled", "", Meaning::BadCredentials),
    ("PendingVerification", "", Meaning::BadCredentials),
    ("Blocked", "", Meaning::BadCredentials),
    ("InvalidParameter", "", Meaning::BadRequest),
    ("InvalidParameterValue", "", Meaning::BadRequest),
    ("InvalidParameterCombination", "", Meaning::BadRequest),
    ("MissingParameter", "", Meaning::BadRequest),
    ("MissingRequiredParameter", "", Meaning::BadRequest),
    ("Validation", "", Meaning::BadRequest),
    ("InvalidRequest", "", Meaning::BadRequest),
    ("MalformedHttpRequest", "", Meaning::Garbled),
    ("MalformedQueryString", "", Meaning::Garbled),
    ("InvalidQueryParameter", "", Meaning::Garbled),
    ("InvalidAction", "", Meaning::Garbled),
    ("MissingAction", "", Meaning::Garbled),
    ("Serialization", "", Meaning::Garbled),
    ("RequestEntityTooLarge", "", Meaning::Garbled),
    ("UnsupportedProtocol", "", Meaning::Garbled),
    ("UnknownOperation", "", Meaning::Garbled),
];

pub(super) fn meaning(code: &str, message: &str) -> Option<Meaning> {
    let stem = stem(code);
    let fits =
        |(known, phrase, _): &&(&str, &str, Meaning)| stem == *known && message.contains(phrase);
    MEANINGS.iter().find(fits).map(|(_, _, meaning)| *meaning)
}

/// A code without its ending: services spell one code `ValidationError`, `ValidationException` or
/// `Validation`.
fn stem(code: &str) -> &str {
    ["Exception", "Error", "Fault"]
        .into_iter()
        .find_map(|ending| code.strip_suffix(ending))
        .unwrap_or(code)
}
