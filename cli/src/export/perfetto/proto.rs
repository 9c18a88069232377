//! The part of Perfetto's trace format that the export writes.
//!
//! The messages, fields and numbers are those of `protos/perfetto/trace/perfetto_trace.proto` in
//! <https://github.com/google/perfetto>. A decoder skips fields that it does not know, so a subset decodes whole traces too.

/// A trace file. Packets may be written one after the other: concatenated traces are a trace.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{Trace, TracePacket};
/// use prost::Message;
///
/// let trace = Trace { packet: vec![TracePacket { timestamp: Some(7), ..TracePacket::default() }] };
/// let twice = [trace.encode_to_vec(), trace.encode_to_vec()].concat();
/// assert_eq!(Trace::decode(&twice[..]).map(|trace| trace.packet.len()), Ok(2));
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct Trace {
    /// The packets, in any order: the trace processor sorts by timestamp, and keeps the file's order for equal ones.
    #[prost(message, repeated, tag = "1")]
    pub packet: Vec<TracePacket>,
}

/// One entry of a trace.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{Data, TracePacket, TrackDescriptor};
///
/// let row = Data::TrackDescriptor(TrackDescriptor { uuid: Some(1), ..TrackDescriptor::default() });
/// let packet = TracePacket { data: Some(row), ..TracePacket::default() };
/// assert_eq!(packet.timestamp, None, "a row has no time");
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct TracePacket {
    /// In nanoseconds of the clock `timestamp_clock_id`.
    #[prost(uint64, optional, tag = "8")]
    pub timestamp: Option<u64>,
    /// One of [`BuiltinClock`].
    #[prost(uint32, optional, tag = "58")]
    pub timestamp_clock_id: Option<u32>,
    /// Whose interned texts the packet refers to: never 0.
    #[prost(uint32, optional, tag = "10")]
    pub trusted_packet_sequence_id: Option<u32>,
    /// Bits of [`SequenceFlags`].
    #[prost(uint32, optional, tag = "13")]
    pub sequence_flags: Option<u32>,
    /// Texts that this packet and later ones refer to by number.
    #[prost(message, optional, tag = "12")]
    pub interned_data: Option<InternedData>,
    /// What packets of the sequence say unless they say otherwise.
    #[prost(message, optional, tag = "59")]
    pub trace_packet_defaults: Option<TracePacketDefaults>,
    /// What the packet says.
    #[prost(oneof = "Data", tags = "6, 11, 60")]
    pub data: Option<Data>,
}

/// What a [`TracePacket`] says.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{Data, TracePacket, TrackEvent};
///
/// fn event(packet: &TracePacket) -> Option<&TrackEvent> {
///     match &packet.data {
///         Some(Data::TrackEvent(event)) => Some(event),
///         _ => None,
///     }
/// }
///
/// assert_eq!(event(&TracePacket::default()), None);
/// ```
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Data {
    /// How the clocks stand to each other.
    #[prost(message, tag = "6")]
    ClockSnapshot(ClockSnapshot),
    /// The begin or end of a slice, or an instant.
    #[prost(message, tag = "11")]
    TrackEvent(TrackEvent),
    /// A row that events are drawn in.
    #[prost(message, tag = "60")]
    TrackDescriptor(TrackDescriptor),
}

/// What the packets of a sequence say unless they say otherwise.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{BuiltinClock, TracePacketDefaults};
///
/// let defaults = TracePacketDefaults { timestamp_clock_id: Some(BuiltinClock::Realtime as u32) };
/// assert_eq!(defaults.timestamp_clock_id(), 1);
/// ```
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct TracePacketDefaults {
    /// One of [`BuiltinClock`].
    #[prost(uint32, optional, tag = "58")]
    pub timestamp_clock_id: Option<u32>,
}

/// Bits of `TracePacket::sequence_flags`.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{SequenceFlags, TracePacket};
///
/// fn begins_anew(packet: &TracePacket) -> bool {
///     packet.sequence_flags() & SequenceFlags::IncrementalStateCleared as u32 != 0
/// }
///
/// assert!(begins_anew(&TracePacket { sequence_flags: Some(3), ..TracePacket::default() }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum SequenceFlags {
    /// None.
    Unspecified = 0,
    /// The sequence's interned texts begin here.
    IncrementalStateCleared = 1,
    /// The packet refers to interned texts.
    NeedsIncrementalState = 2,
}

/// Clocks that Perfetto knows by number.
///
/// ```
/// use spanring_cli::export::perfetto::proto::BuiltinClock;
///
/// assert_eq!(BuiltinClock::try_from(6), Ok(BuiltinClock::Boottime));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum BuiltinClock {
    /// None.
    Unknown = 0,
    /// Nanoseconds since 1970.
    Realtime = 1,
    /// Nanoseconds since boot.
    Boottime = 6,
}

/// Readings of several clocks at one moment.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{BuiltinClock, Clock, ClockSnapshot};
///
/// let clocks = [BuiltinClock::Realtime, BuiltinClock::Boottime];
/// let clocks = clocks.map(|clock| Clock { clock_id: Some(clock as u32), timestamp: Some(500) }).to_vec();
/// let snapshot = ClockSnapshot { clocks, primary_trace_clock: Some(BuiltinClock::Realtime as i32) };
/// assert_eq!(snapshot.primary_trace_clock(), BuiltinClock::Realtime);
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClockSnapshot {
    /// The readings.
    #[prost(message, repeated, tag = "1")]
    pub clocks: Vec<Clock>,
    /// The clock that the viewer shows times of: one of [`BuiltinClock`].
    #[prost(enumeration = "BuiltinClock", optional, tag = "2")]
    pub primary_trace_clock: Option<i32>,
}

/// The reading of one clock.
///
/// ```
/// use spanring_cli::export::perfetto::proto::Clock;
///
/// let clock = Clock { clock_id: Some(1), timestamp: None };
/// assert_eq!(clock.timestamp(), 0, "what is not there reads as zero");
/// ```
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Clock {
    /// One of [`BuiltinClock`].
    #[prost(uint32, optional, tag = "1")]
    pub clock_id: Option<u32>,
    /// In nanoseconds.
    #[prost(uint64, optional, tag = "2")]
    pub timestamp: Option<u64>,
}

/// A row of the picture.
///
/// ```
/// use spanring_cli::export::perfetto::proto::TrackDescriptor;
///
/// let row = TrackDescriptor { uuid: Some(2), name: Some("async spans".to_owned()), ..TrackDescriptor::default() };
/// assert_eq!((row.name(), row.parent_uuid), ("async spans", None));
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct TrackDescriptor {
    /// Unique in the trace, not 0.
    #[prost(uint64, optional, tag = "1")]
    pub uuid: Option<u64>,
    /// The row that this one is shown under.
    #[prost(uint64, optional, tag = "5")]
    pub parent_uuid: Option<u64>,
    /// What it is called.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Shown as help for the row.
    #[prost(string, optional, tag = "14")]
    pub description: Option<String>,
    /// It stands for a process.
    #[prost(message, optional, tag = "3")]
    pub process: Option<ProcessDescriptor>,
    /// It stands for a thread.
    #[prost(message, optional, tag = "4")]
    pub thread: Option<ThreadDescriptor>,
    /// It shows the values of a counter.
    #[prost(message, optional, tag = "8")]
    pub counter: Option<CounterDescriptor>,
    /// How the rows under it are sorted.
    #[prost(enumeration = "ChildTracksOrdering", optional, tag = "11")]
    pub child_ordering: Option<i32>,
    /// Its place among its siblings, if those are sorted explicitly.
    #[prost(int32, optional, tag = "12")]
    pub sibling_order_rank: Option<i32>,
    /// Whether the viewer may draw it together with siblings.
    #[prost(enumeration = "SiblingMergeBehavior", optional, tag = "15")]
    pub sibling_merge_behavior: Option<i32>,
}

/// How the rows under a row are sorted.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{ChildTracksOrdering, TrackDescriptor};
///
/// let mut row = TrackDescriptor::default();
/// row.set_child_ordering(ChildTracksOrdering::Explicit);
/// assert_eq!(row.child_ordering, Some(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum ChildTracksOrdering {
    /// As the viewer likes.
    Unknown = 0,
    /// By `sibling_order_rank`.
    Explicit = 3,
}

/// Which siblings the viewer draws as one row.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{SiblingMergeBehavior, TrackDescriptor};
///
/// let mut row = TrackDescriptor::default();
/// row.set_sibling_merge_behavior(SiblingMergeBehavior::None);
/// assert_eq!(row.sibling_merge_behavior, Some(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum SiblingMergeBehavior {
    /// Those of the same name.
    Unspecified = 0,
    /// None.
    None = 2,
}

/// A process.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{ProcessDescriptor, TrackDescriptor};
///
/// let process = ProcessDescriptor { pid: Some(42), process_name: Some("service".to_owned()) };
/// let row = TrackDescriptor { uuid: Some(1), process: Some(process), ..TrackDescriptor::default() };
/// assert_eq!(row.process.map(|process| process.pid()), Some(42));
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessDescriptor {
    /// The operating system's number.
    #[prost(int32, optional, tag = "1")]
    pub pid: Option<i32>,
    /// What it is called.
    #[prost(string, optional, tag = "6")]
    pub process_name: Option<String>,
}

/// A thread.
///
/// ```
/// use spanring_cli::export::perfetto::proto::ThreadDescriptor;
///
/// let thread = ThreadDescriptor { pid: Some(42), tid: Some(43), thread_name: None };
/// assert_eq!(thread.thread_name(), "");
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct ThreadDescriptor {
    /// Its process.
    #[prost(int32, optional, tag = "1")]
    pub pid: Option<i32>,
    /// The operating system's number.
    #[prost(int64, optional, tag = "2")]
    pub tid: Option<i64>,
    /// What it is called.
    #[prost(string, optional, tag = "5")]
    pub thread_name: Option<String>,
}

/// A counter, of which nothing is known but its values.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{CounterDescriptor, TrackDescriptor};
///
/// let row = TrackDescriptor { counter: Some(CounterDescriptor {}), ..TrackDescriptor::default() };
/// assert!(row.counter.is_some(), "the row shows values");
/// ```
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct CounterDescriptor {}

/// Something that happens on a track.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{EventType, TrackEvent};
///
/// let mut event = TrackEvent { track_uuid: Some(2), name: Some("load".to_owned()), ..TrackEvent::default() };
/// event.set_type(EventType::SliceBegin);
/// assert_eq!(event.r#type, Some(1));
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct TrackEvent {
    /// Begin, end, instant, or the value of a counter.
    #[prost(enumeration = "EventType", optional, tag = "9")]
    pub r#type: Option<i32>,
    /// The track's `uuid`.
    #[prost(uint64, optional, tag = "11")]
    pub track_uuid: Option<u64>,
    /// Numbers of interned categories.
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub category_iids: Vec<u64>,
    /// What it is called.
    #[prost(string, optional, tag = "23")]
    pub name: Option<String>,
    /// Number of its interned name, instead of `name`.
    #[prost(uint64, optional, tag = "10")]
    pub name_iid: Option<u64>,
    /// Everything else about it.
    #[prost(message, repeated, tag = "4")]
    pub debug_annotations: Vec<DebugAnnotation>,
    /// Arrows that lead on from here: each to the next event with its number.
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    pub flow_ids: Vec<u64>,
    /// Arrows that end here.
    #[prost(fixed64, repeated, packed = "false", tag = "48")]
    pub terminating_flow_ids: Vec<u64>,
    /// A counter's value: an integer, or a floating-point number.
    #[prost(oneof = "CounterValue", tags = "30, 44")]
    pub counter_value: Option<CounterValue>,
}

/// The value of a counter.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{CounterValue, TrackEvent};
///
/// let event = TrackEvent { counter_value: Some(CounterValue::Int(-7)), ..TrackEvent::default() };
/// assert_ne!(event.counter_value, Some(CounterValue::Double(-7.0)), "an integer stays exact");
/// ```
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum CounterValue {
    /// An integer.
    #[prost(int64, tag = "30")]
    Int(i64),
    /// A floating-point number.
    #[prost(double, tag = "44")]
    Double(f64),
}

/// What a [`TrackEvent`] is.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{EventType, TrackEvent};
///
/// assert_eq!(TrackEvent::default().r#type(), EventType::Unspecified);
/// assert!(EventType::try_from(9).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum EventType {
    /// None.
    Unspecified = 0,
    /// A slice begins.
    SliceBegin = 1,
    /// The slice that began last on the track, and has not ended, ends.
    SliceEnd = 2,
    /// A moment.
    Instant = 3,
    /// A value of the track's counter.
    Counter = 4,
}

/// A named value, or a dictionary, or a list. What is in a list has no name.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{DebugAnnotation, Value};
///
/// let polls = DebugAnnotation {
///     name: Some("polls".to_owned()),
///     value: Some(Value::Uint(3)),
///     ..DebugAnnotation::default()
/// };
/// let dictionary = DebugAnnotation { dict_entries: vec![polls], ..DebugAnnotation::default() };
/// assert_eq!((dictionary.value, dictionary.dict_entries[0].name()), (None, "polls"));
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct DebugAnnotation {
    /// Number of the interned name.
    #[prost(uint64, optional, tag = "1")]
    pub name_iid: Option<u64>,
    /// The name, instead of `name_iid`.
    #[prost(string, optional, tag = "10")]
    pub name: Option<String>,
    /// The value.
    #[prost(oneof = "Value", tags = "2, 3, 4, 5, 6, 17")]
    pub value: Option<Value>,
    /// What is in the dictionary.
    #[prost(message, repeated, tag = "11")]
    pub dict_entries: Vec<DebugAnnotation>,
    /// What is in the list.
    #[prost(message, repeated, tag = "12")]
    pub array_values: Vec<DebugAnnotation>,
}

/// The value of a [`DebugAnnotation`].
///
/// ```
/// use spanring_cli::export::perfetto::proto::{DebugAnnotation, Value};
///
/// fn number(argument: &DebugAnnotation) -> Option<u64> {
///     match argument.value {
///         Some(Value::Uint(number)) => Some(number),
///         _ => None,
///     }
/// }
///
/// assert_eq!(number(&DebugAnnotation::default()), None);
/// ```
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// Yes or no.
    #[prost(bool, tag = "2")]
    Bool(bool),
    /// A number.
    #[prost(uint64, tag = "3")]
    Uint(u64),
    /// A number that may be negative.
    #[prost(int64, tag = "4")]
    Int(i64),
    /// A floating-point number.
    #[prost(double, tag = "5")]
    Double(f64),
    /// A text.
    #[prost(string, tag = "6")]
    String(String),
    /// Number of an interned text.
    #[prost(uint64, tag = "17")]
    StringIid(u64),
}

/// Texts that are written once and referred to by number.
///
/// ```
/// use spanring_cli::export::perfetto::proto::{InternedData, InternedText};
///
/// let name = InternedText { iid: Some(1), text: Some("load".to_owned()) };
/// let texts = InternedData { event_names: vec![name], ..InternedData::default() };
/// let found = texts.event_names.iter().find(|name| name.iid() == 1);
/// assert_eq!(found.map(|name| name.text()), Some("load"));
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct InternedData {
    /// For `TrackEvent::category_iids`.
    #[prost(message, repeated, tag = "1")]
    pub event_categories: Vec<InternedText>,
    /// For `TrackEvent::name_iid`.
    #[prost(message, repeated, tag = "2")]
    pub event_names: Vec<InternedText>,
    /// For `DebugAnnotation::name_iid`.
    #[prost(message, repeated, tag = "3")]
    pub debug_annotation_names: Vec<InternedText>,
    /// For `Value::StringIid`.
    #[prost(message, repeated, tag = "29")]
    pub debug_annotation_string_values: Vec<InternedText>,
}

/// A text and its number: Perfetto's `EventCategory`, `EventName`, `DebugAnnotationName` and `InternedString`, which are alike.
///
/// ```
/// use spanring_cli::export::perfetto::proto::InternedText;
///
/// let text = InternedText { iid: Some(1), text: Some("load".to_owned()) };
/// assert_ne!(text.iid(), 0, "zero stands for none");
/// ```
#[derive(Clone, PartialEq, prost::Message)]
pub struct InternedText {
    /// Not 0.
    #[prost(uint64, optional, tag = "1")]
    pub iid: Option<u64>,
    /// The text.
    #[prost(string, optional, tag = "2")]
    pub text: Option<String>,
}
