//! The format of the files; `schema.json` documents each word.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) documentation: String,
    #[serde(default)]
    pub(crate) given: Given,
    pub(crate) steps: Vec<Step>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Given {
    pub(crate) start: Start,
    pub(crate) config: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    pub(crate) mono: f64,
    pub(crate) wall: f64,
}

impl Default for Start {
    /// Returns a start far from both origins. The wall clock shows 2026-11-24T00:00:00Z.
    fn default() -> Self {
        Self {
            mono: 1000.0,
            wall: 1_795_478_400.0,
        }
    }
}

/// One step. An expectation stays JSON, for the comparison with the result.
#[derive(Deserialize, Debug)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    Ticket {
        name: String,
        need: Need,
    },
    Poll {
        at: At,
        ticket: String,
        expect: Value,
    },
    PollRefresh {
        at: At,
        expect: Value,
    },
    Answer {
        at: At,
        flight: String,
        response: Response,
    },
    Fail {
        at: At,
        flight: String,
        kind: String,
    },
    Abandon {
        flight: String,
    },
    TimeLeft {
        at: At,
        flight: String,
        expect: Value,
    },
    Reject {
        at: At,
        token: String,
        expect: bool,
    },
    SetCredentials {
        client_id: String,
        client_secret: String,
    },
    HandIn {
        at: At,
        token: String,
        expires_at: f64,
    },
    CachedToken {
        expect: Value,
    },
    Events {
        expect: Value,
    },
    Repeat {
        times: u32,
        steps: Vec<Step>,
    },
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(untagged)]
pub(crate) enum At {
    Both(f64),
    Apart(Apart),
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apart {
    pub(crate) mono: f64,
    pub(crate) wall: f64,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Need {
    Usable,
    For(f64),
    Newer,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) json: Option<Value>,
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) torn: bool,
}
