//! What a trace viewer makes of a trace: a small model of Perfetto's trace processor.
// Each test uses a part of it.
#![allow(dead_code)]

use prost::Message;
use spanring_cli::export::perfetto::proto::{
    CounterValue, Data, DebugAnnotation, EventType, InternedText, SequenceFlags, Trace, TrackDescriptor, Value,
};
use std::collections::HashMap;

/// A slice as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The row.
    pub track: u64,
    /// In nanoseconds.
    pub begin_ns: u64,
    /// `None` for a slice that does not end.
    pub end_ns: Option<u64>,
    /// What it is called.
    pub name: String,
    /// Category.
    pub category: String,
    /// Arguments, as text; what is in another has that one's name in front.
    pub arguments: HashMap<String, String>,
    /// Of a counter.
    pub value: Option<CounterValue>,
    /// Arrows that begin here.
    pub arrows_out: Vec<u64>,
    /// Arrows that end here.
    pub arrows_in: Vec<u64>,
    /// The slice around it, as an index into [`Replay::slices`].
    pub inside: Option<usize>,
}

impl Slice {
    /// A numeric argument.
    pub fn number(&self, argument: &str) -> u64 {
        self.arguments[argument].parse().expect("a number")
    }
}

/// A decoded trace.
#[derive(Debug, Default)]
pub struct Replay {
    /// All slices, in order of their begin.
    pub slices: Vec<Slice>,
    /// What was lost, as slices, in order of their begin.
    pub losses: Vec<Slice>,
    /// All instants, as time, track, category, name and arguments.
    pub instants: Vec<Slice>,
    /// All values of counters.
    pub counters: Vec<Slice>,
    /// All rows.
    pub tracks: HashMap<u64, TrackDescriptor>,
}

/// Decodes a trace and nests its slices, as the trace processor does.
pub fn replay(bytes: &[u8]) -> Replay {
    let trace = Trace::decode(bytes).expect("a trace");
    let mut replay = Replay::default();
    let mut events = Vec::new();
    let [mut categories, mut names, mut event_names, mut values] = [const { Texts::new() }; 4];
    for (index, packet) in trace.packet.into_iter().enumerate() {
        let cleared = packet.sequence_flags == Some(SequenceFlags::IncrementalStateCleared as u32);
        assert_eq!(cleared, index == 0, "only the first packet starts the sequence");
        assert!(packet.data.is_some() || packet.interned_data.is_some(), "every packet says something");
        if let Some(new) = packet.interned_data {
            categories.learn(new.event_categories);
            names.learn(new.debug_annotation_names);
            event_names.learn(new.event_names);
            values.learn(new.debug_annotation_string_values);
        }
        match packet.data {
            None | Some(Data::ClockSnapshot(_)) => {}
            Some(Data::TrackDescriptor(track)) => {
                assert!(
                    track.parent_uuid.is_none_or(|parent| replay.tracks.contains_key(&parent)),
                    "parents come first"
                );
                let uuid = track.uuid.expect("a row has a number");
                assert!(replay.tracks.insert(uuid, track).is_none(), "rows have their own numbers");
            }
            Some(Data::TrackEvent(event)) => {
                let track = event.track_uuid.expect("an event has a row");
                assert!(replay.tracks.contains_key(&track), "rows come before their events");
                let mut arguments = HashMap::new();
                for annotation in &event.debug_annotations {
                    flatten(annotation, "", &names, &values, &mut arguments);
                }
                let slice = Slice {
                    track,
                    begin_ns: packet.timestamp.expect("an event has a time"),
                    end_ns: None,
                    name: event
                        .name_iid
                        .map_or(event.name.clone().unwrap_or_default(), |number| event_names.get(number)),
                    arrows_out: event.flow_ids.clone(),
                    arrows_in: event.terminating_flow_ids.clone(),
                    category: event.category_iids.first().map(|&number| categories.get(number)).unwrap_or_default(),
                    arguments,
                    value: event.counter_value,
                    inside: None,
                };
                events.push((EventType::try_from(event.r#type.expect("typed")).expect("known"), slice));
            }
        }
    }
    replay.nest(events);
    replay
}

impl Replay {
    fn nest(&mut self, mut events: Vec<(EventType, Slice)>) {
        // Stable, as the trace processor sorts: events of one moment stay in the file's order.
        events.sort_by_key(|(_, event)| event.begin_ns);
        let mut stacks: HashMap<u64, Vec<(usize, bool)>> = HashMap::new();
        for (kind, mut event) in events {
            let stack = stacks.entry(event.track).or_default();
            match kind {
                EventType::SliceBegin => {
                    let is_loss = event.category == "loss";
                    let slices = if is_loss { &mut self.losses } else { &mut self.slices };
                    event.inside = stack.last().map(|&(index, _)| index);
                    stack.push((slices.len(), is_loss));
                    slices.push(event);
                }
                EventType::SliceEnd => {
                    let (index, is_loss) = stack.pop().expect("an end has its begin");
                    let slices = if is_loss { &mut self.losses } else { &mut self.slices };
                    slices[index].end_ns = Some(event.begin_ns);
                }
                EventType::Instant => {
                    event.inside = stack.last().map(|&(index, _)| index);
                    self.instants.push(event);
                }
                EventType::Counter => self.counters.push(event),
                EventType::Unspecified => panic!("an event without a type"),
            }
        }
    }

    /// Name of a row.
    pub fn row_name(&self, track: u64) -> &str {
        let track = &self.tracks[&track];
        let thread = track.thread.as_ref().and_then(|thread| thread.thread_name.as_deref());
        track.name.as_deref().or(thread).unwrap_or_default()
    }
}

/// An argument, and what is in it.
fn flatten(annotation: &DebugAnnotation, above: &str, names: &Texts, values: &Texts, to: &mut HashMap<String, String>) {
    let name = annotation.name.clone().or(annotation.name_iid.map(|number| names.get(number)));
    let name = format!("{above}{}", name.expect("named"));
    annotation.dict_entries.iter().for_each(|entry| flatten(entry, &format!("{name}."), names, values, to));
    let text = |value: &Value| match value {
        Value::Bool(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => format!("{value:?}"),
        Value::String(value) => value.clone(),
        Value::StringIid(number) => values.get(*number),
    };
    for (index, part) in annotation.array_values.iter().enumerate() {
        to.insert(format!("{name}[{index}]"), part.value.as_ref().map(text).expect("a value"));
    }
    if let Some(value) = &annotation.value {
        to.insert(name, text(value));
    }
}

struct Texts(Vec<InternedText>);

impl Texts {
    const fn new() -> Texts {
        Texts(Vec::new())
    }

    fn learn(&mut self, new: Vec<InternedText>) {
        for text in new {
            let taken = self.0.iter().any(|known| known.iid == text.iid);
            assert!(!taken && text.iid != Some(0), "texts have their own numbers");
            self.0.push(text);
        }
    }

    fn get(&self, number: u64) -> String {
        let text = self.0.iter().find(|text| text.iid == Some(number)).expect("a text comes before its use");
        text.text.clone().expect("texts have text")
    }
}
