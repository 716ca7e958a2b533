//! Tokens signed by one of several keys, and the set of public keys (JWKS) that others verify by.
//!
//! `Rotating` keeps one key before the current one. Where tokens live longer than the time between
//! two rotations, or others keep a copy of the public keys, the secret holds all keys in force, and
//! which of them signs. A rotation adds a key, lets the one before it sign, and removes those whose
//! last tokens have expired:
//!
//! ```json
//! {"signs": "2026-11", "keys": {"2026-10": "…PEM…", "2026-11": "…PEM…", "2026-12": "…PEM…"}}
//! ```
//!
//! So a key is public for a whole rotation before it signs, and no verifier meets an unknown one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use axum::{Json, Router, extract::State, routing};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Rejected};
use serde::{Deserialize, Serialize};

use crate::pem::lines;

const ALGORITHM: Algorithm = Algorithm::ES256;

/// The settings of a service that signs.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `token-keys`.
    pub token_keys: TokenKeys,
}

/// All keys in force.
#[derive(Debug, Deserialize)]
pub struct TokenKeys {
    /// The name of the key that signs.
    pub signs: String,
    /// Private keys (P-256, PKCS #8, PEM) by their names, which tokens and the public set show.
    pub keys: BTreeMap<String, SecretString>,
}

/// The keys, parsed once.
pub struct Keys {
    signing: EncodingKey,
    header: Header,
    public: JwkSet,
}

/// Built by `settings.derive("token_keys", jwks::keys)`. Keys that no one can use leave the last
/// good ones in place.
///
/// # Errors
///
/// If a key cannot be read, or the one that signs is not among them.
pub async fn keys(settings: Arc<Settings>) -> Result<Keys, Rejected> {
    let TokenKeys { signs, keys } = &settings.token_keys;
    let (mut signing, mut public) = (None, Vec::new());
    for (name, pem) in keys {
        // Which key it is stays unsaid: the names of a map may be content.
        let unreadable = |_| Rejected::new("a key of `token_keys.keys` is no P-256 key in PEM");
        let key = EncodingKey::from_ec_pem(lines(pem.expose_secret()).as_bytes());
        let key = key.map_err(unreadable)?;
        let mut shown = Jwk::from_encoding_key(&key, ALGORITHM).map_err(unreadable)?;
        shown.common.key_id = Some(name.clone());
        shown.common.public_key_use = Some(PublicKeyUse::Signature);
        public.push(shown);
        if name == signs {
            signing = Some(key);
        }
    }
    let signing =
        signing.ok_or_else(|| Rejected::new("`token_keys.signs` names none of the keys"))?;
    let mut header = Header::new(ALGORITHM);
    header.kid = Some(signs.clone());
    Ok(Keys { signing, header, public: JwkSet { keys: public } })
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Whom it is for.
    pub sub: String,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
}

impl Keys {
    /// A token, signed with the key that signs.
    ///
    /// # Errors
    ///
    /// If the key cannot sign.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.signing)
    }

    /// The public keys, for those who verify.
    pub fn public(&self) -> &JwkSet {
        &self.public
    }
}

/// What a token says, if a key of the set has signed it and it has not ended.
pub fn verify(public: &JwkSet, token: &str) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let key = DecodingKey::from_jwk(public.find(&header.kid?)?).ok()?;
    // The algorithm is ours to say, not the token's.
    let token = jsonwebtoken::decode(token, &key, &Validation::new(ALGORITHM));
    token.ok().map(|token| token.claims)
}

/// `POST /token` signs a token for a demo user, `GET /me` verifies one, and
/// `GET /.well-known/jwks.json` has the public keys.
pub fn app(keys: Live<Keys>) -> Router {
    Router::new()
        .route("/token", routing::post(token))
        .route("/me", routing::get(me))
        .route("/.well-known/jwks.json", routing::get(public))
        .with_state(keys)
}

async fn token(State(keys): State<Live<Keys>>) -> Result<String, StatusCode> {
    let exp = jsonwebtoken::get_current_timestamp() + 3600;
    let token = keys.load().sign(&Claims { sub: "demo".to_owned(), exp });
    token.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn me(State(keys): State<Live<Keys>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|bearer| bearer.strip_prefix("Bearer "));
    let claims = token.and_then(|token| verify(keys.load().public(), token));
    claims.map(|claims| claims.sub).ok_or(StatusCode::UNAUTHORIZED)
}

async fn public(State(keys): State<Live<Keys>>) -> Json<JwkSet> {
    Json(keys.load().public().clone())
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("public", &self.public.keys.len()).finish_non_exhaustive()
    }
}
