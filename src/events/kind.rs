//! What a slot holds: its kind, and for an ended span its outcome.

/// The kind of a slot, in byte 0 of every slot. Span kinds are three independent bits on a base of `0x10`.
///
/// | bit | 0 | 1 |
/// |---|---|---|
/// | 0 | begin | end |
/// | 1 | static (`SpanMetadata`) | named (`SpanLocation` and `StringId`) |
/// | 2 | async span | thread span |
///
/// `0x38` is a single poll: the future of an async span was polled once. Its record is always one slot, is written when the poll
/// returns, and is laid out as the records of its span. Word 1 says when the poll returned, word 7 when it began, and the high half of
/// word 6 its number among the polls of the span, from 1, saturating. Words 4 and 5 and the low half of word 6 are those of the span's
/// other records, or 0 to leave that to them, as they are if the name is run-time text.
///
/// `0x20` is an attribute, a key and a value of a span or of an instant; `0x30` a counter's value at some time. Both are laid out as
/// `value` says. `0x28` is an instant, a point in time with a name: it is laid out as the begin of a named span, with an id of its
/// own, and says in the low half of its depth how many thread spans were open around it.
///
/// `0x20..=0x3f` are otherwise reserved: a reader skips what it does not know, by the slot count.
///
/// ```
/// use spanring::events::Kind;
///
/// let kind = Kind::from_u8(0x13);
/// assert_eq!(kind, Some(Kind::EndAsyncNamed));
/// assert!(kind.is_some_and(|kind| kind.is_end() && kind.is_named() && !kind.is_thread()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// 56 more bytes of the text that belongs to the record before.
    Continuation = 0x01,
    /// An async span was polled for the first time; static site.
    BeginAsync = 0x10,
    /// An async span ended; static site.
    EndAsync = 0x11,
    /// An async span was polled for the first time; named.
    BeginAsyncNamed = 0x12,
    /// An async span ended; named.
    EndAsyncNamed = 0x13,
    /// A thread span began; static site.
    BeginThread = 0x14,
    /// A thread span ended; static site.
    EndThread = 0x15,
    /// A thread span began; named.
    BeginThreadNamed = 0x16,
    /// A thread span ended; named.
    EndThreadNamed = 0x17,
    /// A span or an instant has a value by that key.
    Attribute = 0x20,
    /// Something happened.
    Instant = 0x28,
    /// Something that is counted or measured had that value.
    Counter = 0x30,
    /// The future of an async span was polled once.
    Poll = 0x38,
}

impl Kind {
    /// Every span kind, in order of its number.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// let ends = Kind::SPANS.into_iter().filter(|kind| kind.is_end());
    /// assert_eq!(ends.count(), 4);
    /// ```
    pub const SPANS: [Kind; 8] = [
        Kind::BeginAsync,
        Kind::EndAsync,
        Kind::BeginAsyncNamed,
        Kind::EndAsyncNamed,
        Kind::BeginThread,
        Kind::EndThread,
        Kind::BeginThreadNamed,
        Kind::EndThreadNamed,
    ];

    pub(super) const END: u8 = 1;
    const NAMED: u8 = 2;
    const THREAD: u8 = 4;

    /// The kind with this number, or `None` for one that this version does not know.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert_eq!(Kind::from_u8(0x28), Some(Kind::Instant));
    /// assert_eq!(Kind::from_u8(0x2f), None);
    /// ```
    pub const fn from_u8(number: u8) -> Option<Kind> {
        match number {
            // One by one, and not out of a table: a compiler sees that this is the number.
            0x01 => Some(Kind::Continuation),
            0x10 => Some(Kind::BeginAsync),
            0x11 => Some(Kind::EndAsync),
            0x12 => Some(Kind::BeginAsyncNamed),
            0x13 => Some(Kind::EndAsyncNamed),
            0x14 => Some(Kind::BeginThread),
            0x15 => Some(Kind::EndThread),
            0x16 => Some(Kind::BeginThreadNamed),
            0x17 => Some(Kind::EndThreadNamed),
            0x20 => Some(Kind::Attribute),
            0x28 => Some(Kind::Instant),
            0x30 => Some(Kind::Counter),
            0x38 => Some(Kind::Poll),
            _ => None,
        }
    }

    /// Whether a record of this kind is laid out as [`ValueFields`](super::ValueFields).
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert!(Kind::Attribute.is_value() && Kind::Counter.is_value() && !Kind::Instant.is_value());
    /// ```
    pub const fn is_value(self) -> bool {
        matches!(self, Kind::Attribute | Kind::Counter)
    }

    /// Whether this is one of the eight span kinds.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert!(Kind::SPANS.into_iter().all(Kind::is_span) && !Kind::Poll.is_span());
    /// ```
    pub const fn is_span(self) -> bool {
        self as u8 & !(Self::END | Self::NAMED | Self::THREAD) == Kind::BeginAsync as u8
    }

    /// Whether this is a span kind with this bit. No other kind has it beside the base's.
    const fn is_span_with(self, bit: u8) -> bool {
        let both = Kind::BeginAsync as u8 | bit;
        self as u8 & both == both
    }

    /// Whether this is the number of a span kind that marks an end.
    pub(super) const fn is_number_of_end(number: u8) -> bool {
        number & !(Self::NAMED | Self::THREAD) == Kind::EndAsync as u8
    }

    /// Whether this span kind marks an end.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert!(Kind::EndThread.is_end() && !Kind::BeginThread.is_end());
    /// ```
    pub const fn is_end(self) -> bool {
        self.is_span_with(Self::END)
    }

    /// Whether this span kind carries a location and a name of its own.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert!(Kind::BeginAsyncNamed.is_named() && !Kind::BeginAsync.is_named());
    /// ```
    pub const fn is_named(self) -> bool {
        self.is_span_with(Self::NAMED)
    }

    /// Whether this span kind belongs to a thread rather than to a future.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert!(Kind::BeginThread.is_thread() && !Kind::BeginAsync.is_thread());
    /// ```
    pub const fn is_thread(self) -> bool {
        self.is_span_with(Self::THREAD)
    }

    /// The event's name in the self-description and in the documentation.
    ///
    /// ```
    /// use spanring::events::Kind;
    ///
    /// assert_eq!(Kind::EndThread.event_name(), "EndThreadSpanEvent");
    /// ```
    pub const fn event_name(self) -> &'static str {
        match self {
            Kind::Continuation => "Continuation",
            Kind::BeginAsync => "BeginAsyncSpanEvent",
            Kind::EndAsync => "EndAsyncSpanEvent",
            Kind::BeginAsyncNamed => "BeginAsyncNamedSpanEvent",
            Kind::EndAsyncNamed => "EndAsyncNamedSpanEvent",
            Kind::BeginThread => "BeginThreadSpanEvent",
            Kind::EndThread => "EndThreadSpanEvent",
            Kind::BeginThreadNamed => "BeginThreadNamedSpanEvent",
            Kind::EndThreadNamed => "EndThreadNamedSpanEvent",
            Kind::Attribute => "AttributeEvent",
            Kind::Instant => "InstantEvent",
            Kind::Counter => "CounterEvent",
            Kind::Poll => "PollEvent",
        }
    }
}

/// How a span ended. Two bits of an end record; begin records carry none.
///
/// ```
/// use spanring::events::Outcome;
///
/// fn is_to_be_looked_at(outcome: Outcome) -> bool {
///     matches!(outcome, Outcome::Failed | Outcome::Panicked)
/// }
/// assert!(!is_to_be_looked_at(Outcome::Cancelled));
/// assert_eq!(Outcome::Cancelled.to_string(), "cancelled");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The future returned `Ready`, or the scope was left normally, and what came out was an error.
    Failed = 0,
    /// The future returned `Ready`, or the scope was left normally.
    Completed = 1,
    /// The future was dropped after its first poll and before it was ready.
    Cancelled = 2,
    /// A poll of the future panicked, or the scope was left by unwinding.
    Panicked = 3,
}

impl Outcome {
    /// The outcome in the lowest two bits, which are an end record's.
    ///
    /// ```
    /// use spanring::events::Outcome;
    ///
    /// assert_eq!(Outcome::from_bits(Outcome::Panicked as u8), Outcome::Panicked);
    /// ```
    pub const fn from_bits(bits: u8) -> Outcome {
        match bits & 3 {
            0 => Outcome::Failed,
            1 => Outcome::Completed,
            2 => Outcome::Cancelled,
            _ => Outcome::Panicked,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Outcome::Failed => "failed",
            Outcome::Completed => "completed",
            Outcome::Cancelled => "cancelled",
            Outcome::Panicked => "panicked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_what_its_name_says() {
        for kind in (0..=255).filter_map(Kind::from_u8) {
            let name = kind.event_name();
            assert_eq!(kind.is_span(), name.contains("Span"), "{name}");
            assert_eq!(kind.is_end(), name.starts_with("End"), "{name}");
            assert_eq!(kind.is_named(), name.contains("Named"), "{name}");
            assert_eq!(kind.is_thread(), name.contains("Thread"), "{name}");
        }
    }
}
