//! Verdict: what filters say of a conversation, for a gateway or an agent that asks before it goes on.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::hub::{ConversationVerdict, Hub};

/// What the path of a verdict begins with.
pub(super) const PATH: &str = "/verdict/";

/// Why there is no verdict.
pub(super) enum NoVerdict {
    /// What is asked for is no text, or empty.
    NoId,
    /// No filter watches conversations.
    NotWatched,
}

/// The worst that any filter says of the conversation whose id, in percent-encoding, is given.
pub(super) fn verdict(hub: &Hub, id: &str) -> Result<Bytes, NoVerdict> {
    let id = percent_decode_str(id).decode_utf8().map_err(|_| NoVerdict::NoId)?;
    if id.is_empty() {
        return Err(NoVerdict::NoId);
    }
    let sources = hub.status_sources();
    let verdicts = sources.iter().filter_map(|(_, source)| source.verdict(&id));
    let worst = verdicts.max_by_key(|verdict| verdict.name().1).ok_or(NoVerdict::NotWatched)?;
    let (name, _) = worst.name();
    let mut answer = match worst {
        ConversationVerdict::Unknown => json!({}),
        ConversationVerdict::Ok(evidence) | ConversationVerdict::Runaway(evidence) => evidence,
    };
    if let Value::Object(fields) = &mut answer {
        fields.insert("conversation".to_owned(), id.as_ref().into());
        fields.insert("verdict".to_owned(), name.into());
    }
    Ok(Bytes::from(answer.to_string()))
}
