//! Cases about values: text and bytes to the letter, and one outcome for each id.
//!
//! What a store returns beyond the ids that were asked for would become part of the settings.

use std::collections::BTreeMap;

use super::Harness;
use super::listing::MANY;
use super::report::Mismatch;
use super::trial::{Trial, holds_binary, holds_text, readable};

/// The limit of AWS for a value, in bytes.
const LARGE: usize = 65_536;

/// Sizes at, and next to, those of the batches that stores take: 10, 20, 50 and 100 are common.
const SIZES: [usize; 12] = [1, 2, 9, 10, 11, 20, 21, 50, 51, 100, 101, MANY];

pub(super) async fn returns_the_name<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    for rest in ["a", "token-2", "key.pem", "under_score", "UpperCase"] {
        let name = trial.put(rest, "text").await;
        let found = trial.read(&name).await?;
        if found.name() != name {
            return Err(Mismatch::new(
                format!("the secret `{name}` has this name"),
                format!("its name is `{}`", found.name()),
            ));
        }
    }
    Ok(())
}

pub(super) async fn returns_exact_text<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let texts = [
        "plain",
        "  spaces around  ",
        "007",
        "true",
        "{\"port\": 5432, \"port-2\": \"5432\"}",
        "{not json",
        "bGludXg=",
        "%41+\\u0041 &amp; \"quoted\" 'too'",
        "schlüssel ключ 鍵 🔑",
        "two\nlines\tand a tab",
        "a newline at the end\n",
    ];
    let mut secrets = BTreeMap::new();
    for (n, text) in texts.into_iter().enumerate() {
        secrets.insert(trial.put(&format!("t{n}"), text).await, text.to_owned());
    }
    trial.holds_all(&secrets).await
}

pub(super) async fn returns_large_text<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let text: String = ('a'..='z').cycle().take(LARGE).collect();
    let name = trial.put("large", &text).await;
    holds_text(&trial.read(&name).await?, &text)
}

pub(super) async fn returns_exact_binary<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for (rest, bytes) in [("every-byte", &every_byte[..]), ("short", &[0xff, 0x00, 0x0a])] {
        let name = trial.name(rest);
        trial.harness().put_binary(&name, bytes).await;
        holds_binary(&trial.read(&name).await?, bytes)?;
    }
    Ok(())
}

pub(super) async fn answers_each_id_once<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let ids = [
        trial.put("a", "text of a").await,
        trial.put("b", "text of b").await,
        trial.name("missing"),
    ];
    let outcomes = trial.outcomes(&ids).await?;
    for id in &ids {
        let count = outcomes.iter().filter(|(answered, _)| answered == id).count();
        if count != 1 {
            return Err(Mismatch::new(
                format!("`fetch` yields one outcome for `{id}`"),
                format!("{count} outcomes"),
            ));
        }
    }
    Ok(())
}

pub(super) async fn answers_only_what_was_asked<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let asked = [trial.put("a", "text of a").await];
    trial.put("a-2", "text of a-2").await;
    trial.put("b", "text of b").await;
    match trial.outcomes(&asked).await?.iter().find(|(id, _)| !asked.contains(id)) {
        Some((id, _)) => Err(Mismatch::new(
            format!("`fetch` of `{}` answers this id only", asked[0]),
            format!("an outcome for `{id}` too"),
        )),
        None => Ok(()),
    }
}

pub(super) async fn answers_by_the_id_asked<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let name = trial.put("a", "text of a").await;
    let id = trial.harness().other_id(&name).await;
    for ids in [vec![id.clone()], vec![name.clone(), id.clone()]] {
        let mut outcomes = trial.fetch(&ids).await?;
        for id in ids {
            let secret = readable(&id, outcomes.remove(&id))?;
            holds_text(&secret, "text of a")?;
            if secret.name() != name {
                return Err(Mismatch::new(
                    format!("the secret asked for as `{id}` has the name `{name}`"),
                    format!("its name is `{}`", secret.name()),
                ));
            }
        }
    }
    Ok(())
}

pub(super) async fn returns_many<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let secrets = trial.put_many(MANY).await;
    for size in SIZES {
        let some = secrets.iter().take(size).map(|(id, text)| (id.clone(), text.clone())).collect();
        trial.holds_all(&some).await?;
    }
    Ok(())
}
