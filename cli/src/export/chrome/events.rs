//! What the export to Chrome's JSON writes, as it is written.

use crate::export::attributes::{self, CutKeys, FLOATING, Object, Simple, cut_keys};
use crate::spans::Attributes;
use serde::{Serialize, Serializer};
use spanring::reader::NameState;

/// One event. Which fields there are depends on what it is.
#[derive(Serialize)]
pub(super) struct Event<'a, A> {
    pub(super) ph: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cat: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) pid: u32,
    pub(super) tid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Hexadecimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ts: Option<f64>,
    /// Of an instant: how far it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<A>,
}

#[derive(Serialize)]
pub(super) struct NameOnly<'a> {
    pub(super) name: &'a str,
}

#[derive(Serialize)]
pub(super) struct SpanArguments<'a> {
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) depth: u16,
    pub(super) outcome: &'a str,
    pub(super) begin_unix_ns: AsText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) polls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) busy_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wait_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begin_thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name_state: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) begin_lost: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) end_may_be_lost: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) busy_partial: bool,
    #[serde(flatten)]
    pub(super) known: Known<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) lost_instants: u64,
}

/// Attributes.
#[derive(Serialize)]
pub(super) struct Known<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attributes: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut_attributes: Option<CutKeys<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) lost_attributes: u64,
}

#[derive(Serialize)]
pub(super) struct InstantArguments<'a> {
    pub(super) instant_id: u64,
    pub(super) parent_id: u64,
    pub(super) unix_ns: AsText,
    pub(super) thread: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name_state: Option<&'a str>,
    #[serde(flatten)]
    pub(super) known: Known<'a>,
}

/// Each is a series of its own.
#[derive(Serialize)]
pub(super) struct CounterArguments<'a> {
    pub(super) value: Simple<'a>,
}

#[derive(Serialize)]
pub(super) struct LossArguments<'a> {
    pub(super) thread: &'a str,
    pub(super) records: u64,
    pub(super) cause: &'a str,
    /// Text, as all times since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after_ns: Option<AsText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before_ns: Option<AsText>,
}

#[derive(Serialize)]
pub(super) struct DamageArguments {
    pub(super) file: String,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
}

/// What stands in front of the events; their array is the last field.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    pub(super) display_time_unit: &'static str,
    pub(super) other_data: OtherData<'a>,
    pub(super) trace_events: [(); 0],
}

#[derive(Serialize)]
pub(super) struct OtherData<'a> {
    pub(super) base_unix_ns: String,
    pub(super) description: &'a str,
}

/// A number as text.
pub(super) struct AsText(pub(super) u64);

impl Serialize for AsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A number as text, as programmers write addresses.
#[derive(Clone, Copy)]
pub(super) struct Hexadecimal(pub(super) u64);

impl Serialize for Hexadecimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A word for what is not whole.
pub(super) fn word_of(state: NameState) -> Option<&'static str> {
    match state {
        NameState::Whole => None,
        NameState::Cut => Some("cut"),
        NameState::Missing => Some("missing"),
    }
}

impl<'a> Known<'a> {
    pub(super) fn of(attributes: &'a Attributes) -> Known<'a> {
        Known {
            attributes: (!attributes.is_empty()).then_some(Object(attributes, FLOATING)),
            cut_attributes: cut_keys(attributes).next().map(|_| CutKeys(attributes)),
            lost_attributes: attributes::lost(attributes),
        }
    }

    pub(super) const NONE: Known<'static> = Known { attributes: None, cut_attributes: None, lost_attributes: 0 };
}

impl<'a, A> Event<'a, A> {
    pub(super) fn new(ph: &'a str, name: &'a str, pid: u32) -> Event<'a, A> {
        Event { ph, cat: None, name, pid, tid: 0, id: None, ts: None, s: None, args: None }
    }

    /// The end of what this is the begin of.
    pub(super) fn end(&self, ts: f64) -> Event<'a, ()> {
        let Event { cat, name, pid, tid, id, .. } = *self;
        Event { ph: "e", cat, name, pid, tid, id, ts: Some(ts), s: None, args: None }
    }
}
