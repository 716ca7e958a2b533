//! Tokens that are signed and verified while their keys rotate: each is valid for its life, also
//! for those who verify by public keys that are one rotation old.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use clients::jwks::{self, Keys, Settings, verify};
use fake_secrets_manager::FakeSecretsManager;
use rcgen::KeyPair;
use rotation_rig::Load;
use secrets_provider::{Layers, Live, SecretsManager};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ROTATIONS: usize = 50;
const WORKERS: usize = 4;

/// How many rotations a token outlives.
const LIFE: usize = 3;

/// The key of this number; keys are made when they are first asked for.
fn name(number: usize) -> String {
    format!("key-{number:03}")
}

/// The secret after this many rotations: the key that signs, the next one, and those of tokens that
/// live.
fn secret(keys: &mut BTreeMap<usize, String>, signs: usize) -> String {
    let first = signs.saturating_sub(LIFE);
    let in_force: BTreeMap<_, _> = (first..=signs + 1)
        .map(|number| {
            let key = keys.entry(number);
            let key = key.or_insert_with(|| KeyPair::generate().unwrap().serialize_pem());
            (name(number), key.clone())
        })
        .collect();
    json!({"signs": name(signs), "keys": in_force}).to_string()
}

async fn live(fake: &FakeSecretsManager) -> Live<Keys> {
    let settings: Live<Settings> =
        Live::builder(SecretsManager::prefix("app").client(fake.client()))
            .layers(|secrets| Layers::new().secrets(secrets))
            .start()
            .await
            .unwrap();
    settings.derive("token_keys", jwks::keys).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_valid_for_its_life() {
    let (fake, mut made) = (FakeSecretsManager::new(), BTreeMap::new());
    fake.put("app/token-keys", secret(&mut made, 0));
    // One that signs, and one that verifies and learns of each rotation a rotation later.
    let (signer, verifier) = (live(&fake).await, live(&fake).await);
    let tokens: Arc<Mutex<VecDeque<String>>> = Arc::default();
    let sign = |keys: &Live<Keys>| {
        let exp = jsonwebtoken::get_current_timestamp() + 3600;
        keys.load().sign(&jwks::Claims { sub: "app".to_owned(), exp }).unwrap()
    };
    // One of each rotation that is within its life.
    tokens.lock().unwrap().push_back(sign(&signer));
    let load = Load::repeat(WORKERS, {
        let (signer, verifier, tokens) = (signer.clone(), verifier.clone(), tokens.clone());
        move |_| {
            let mut tokens: Vec<_> = tokens.lock().unwrap().iter().cloned().collect();
            tokens.push(sign(&signer));
            let verified = tokens.iter().all(|token| {
                let verifiers = [&signer, &verifier];
                verifiers.iter().all(|keys| verify(keys.load().public(), token).is_some())
            });
            async move { if verified { Ok(()) } else { Err("a token was refused".to_owned()) } }
        }
    });
    load.answers(1).await;
    for rotation in 1..=ROTATIONS {
        // The oldest ends its life before its key goes, and is not asked about any more.
        if rotation > LIFE {
            tokens.lock().unwrap().pop_front();
            load.round().await;
        }
        fake.put("app/token-keys", secret(&mut made, rotation));
        assert!(signer.refresh().await.unwrap().changed());
        load.answers(1).await;
        assert!(verifier.refresh().await.unwrap().changed());
        tokens.lock().unwrap().push_back(sign(&signer));
        load.answers(1).await;
    }
    load.finish().await.report("jsonwebtoken, a set of keys", ROTATIONS);
}

#[tokio::test]
async fn others_verify_by_the_public_keys() {
    let (fake, mut made) = (FakeSecretsManager::new(), BTreeMap::new());
    fake.put("app/token-keys", secret(&mut made, 0));
    let keys = live(&fake).await;
    let app = jwks::app(keys.clone());
    let ask = async |request: Request<Body>| {
        let answer = app.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 65536).await.unwrap();
        (status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    };
    let public = async || {
        let request = Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap();
        ask(request).await.1
    };
    let me = async |token: &str| {
        let request = Request::get("/me").header(header::AUTHORIZATION, format!("Bearer {token}"));
        ask(request.body(Body::empty()).unwrap()).await.0
    };
    let (_, token) = ask(Request::post("/token").body(Body::empty()).unwrap()).await;
    let before = public().await;
    let parsed = serde_json::from_str(&before).unwrap();
    assert_eq!(verify(&parsed, &token).unwrap().sub, "demo");
    // Nothing private is public.
    let shown: Value = serde_json::from_str(&before).unwrap();
    for key in shown["keys"].as_array().unwrap() {
        let members: Vec<_> = key.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }

    // A copy of the public keys from before the rotation knows the key that signs after it.
    fake.put("app/token-keys", secret(&mut made, 1));
    keys.refresh().await.unwrap();
    let (_, next) = ask(Request::post("/token").body(Body::empty()).unwrap()).await;
    assert!(verify(&parsed, &next).is_some());
    assert_eq!(me(&token).await, 200);
    // Its key is gone.
    fake.put("app/token-keys", secret(&mut made, 1 + LIFE));
    keys.refresh().await.unwrap();
    assert_eq!((me(&token).await, me(&next).await), (401, 200));
    // A stranger's, by the name of a key of ours.
    let theirs = FakeSecretsManager::new();
    theirs.put("app/token-keys", secret(&mut BTreeMap::new(), 1 + LIFE));
    let exp = jsonwebtoken::get_current_timestamp() + 3600;
    let forged = live(&theirs).await.load().sign(&jwks::Claims { sub: "demo".to_owned(), exp });
    assert_eq!(me(&forged.unwrap()).await, 401);
}

#[tokio::test]
async fn keys_that_no_one_can_use_are_not_served() {
    let (fake, mut made) = (FakeSecretsManager::new(), BTreeMap::new());
    fake.put("app/token-keys", secret(&mut made, 0));
    let keys = live(&fake).await;
    let pem = made[&0].clone();
    let refused = [
        (json!({"signs": "b", "keys": {"a": pem}}), "names none of the keys"),
        (json!({"signs": "a", "keys": {"a": "no key"}}), "is no P-256 key in PEM"),
        (json!({"signs": "a", "keys": {}}), "names none of the keys"),
    ];
    for (text, reason) in refused {
        fake.put("app/token-keys", text.to_string());
        let error = keys.refresh().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(keys.load().public().find(&name(0)).is_some(), "the last good ones stay");
    }
    let escaped = json!({"signs": "a", "keys": {"a": pem.replace('\n', "\\n")}});
    fake.put("app/token-keys", escaped.to_string());
    keys.refresh().await.unwrap();
    assert!(keys.load().public().find("a").is_some());
}
