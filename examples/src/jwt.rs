//! Tokens that outlive a rotation: signed with the current secret, verified with the current or the
//! previous one.

use axum::http::{HeaderMap, StatusCode, header};
use axum::{Router, routing};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Rotating};
use secrets_provider_axum::Current;
use serde::{Deserialize, Serialize};

/// What the service needs: the secret `jwt-secret`, and the one that it replaced.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// Signs with the current one.
    pub jwt_secret: Rotating<SecretString>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

/// `POST /token` signs a token for a demo user; `GET /me` names the user of a token, if it was
/// signed with the current secret or the previous one.
pub fn app(settings: Live<Settings>) -> Router {
    Router::new()
        .route("/token", routing::post(token))
        .route("/me", routing::get(me))
        .with_state(settings)
}

async fn token(Current(settings): Current<Settings>) -> Result<String, StatusCode> {
    let claims =
        Claims { sub: "demo".to_owned(), exp: jsonwebtoken::get_current_timestamp() + 3600 };
    let key = EncodingKey::from_secret(settings.jwt_secret.current.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn me(
    Current(settings): Current<Settings>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = bearer.ok_or(StatusCode::UNAUTHORIZED)?;
    let verified = settings.jwt_secret.iter().find_map(|secret| {
        let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
        jsonwebtoken::decode::<Claims>(token, &key, &Validation::default()).ok()
    });
    verified.map(|token| token.claims.sub).ok_or(StatusCode::UNAUTHORIZED)
}
