//! Fields of `tracing`, as attributes.

use spanring::events::MAX_RUN_TIME_NAME;
use spanring::spans::SpanRef;
use std::error::Error;
use std::fmt::{self, Debug, Write};
use tracing_core::Field;
use tracing_core::field::Visit;

/// Room for as much text as an attribute takes, and a bit more: so that text which does not fit is seen to have been cut.
const TEXT_BYTES: usize = MAX_RUN_TIME_NAME + 8;

/// What is formatted, as far as it fits. What is longer is not formatted to its end.
pub(crate) struct Text {
    bytes: [u8; TEXT_BYTES],
    length: usize,
}

impl Text {
    /// What `value` writes of itself.
    pub(crate) fn of(value: fmt::Arguments<'_>) -> Text {
        let mut text = Text { bytes: [0; TEXT_BYTES], length: 0 };
        // It fails when it is full, or if a value's own formatting fails: what there is until then is kept.
        let _ = text.write_fmt(value);
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only whole characters are written")
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fits = text.len().min(TEXT_BYTES - self.length);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.bytes[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Records each field that it sees as an attribute of a span.
pub(crate) struct Recorder {
    span: SpanRef,
    /// Whether a field was an error.
    pub(crate) saw_error: bool,
    /// The field that is not recorded, because it says the name.
    name: Option<&'static str>,
}

impl Recorder {
    /// Of all fields.
    pub(crate) fn new(span: SpanRef) -> Recorder {
        Recorder { span, saw_error: false, name: None }
    }

    /// Of all but this one.
    pub(crate) fn but(span: SpanRef, name: &'static str) -> Recorder {
        Recorder { name: Some(name), ..Recorder::new(span) }
    }
}

/// A method of [`Visit`] for each type that an attribute has as well.
macro_rules! as_they_are {
    ($($method:ident($type:ty))+) => {$(
        fn $method(&mut self, field: &Field, value: $type) {
            if self.name != Some(field.name()) {
                self.span.record(field.name(), value);
            }
        }
    )+};
}

impl Visit for Recorder {
    as_they_are! { record_bool(bool) record_i64(i64) record_u64(u64) record_f64(f64) record_str(&str) }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.saw_error = true;
        self.record_str(field, Text::of(format_args!("{value}")).as_str());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.name != Some(field.name()) {
            self.record_str(field, Text::of(format_args!("{value:?}")).as_str());
        }
    }
}

/// Keeps the text of one field, and counts the others.
pub(crate) struct TextOf {
    field: &'static str,
    pub(crate) text: Option<Text>,
    pub(crate) others: u32,
}

impl TextOf {
    pub(crate) fn field(field: &'static str) -> TextOf {
        TextOf { field, text: None, others: 0 }
    }

    fn see(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == self.field {
            self.text = Some(Text::of(value));
        } else {
            self.others += 1;
        }
    }
}

impl Visit for TextOf {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.see(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.see(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_far_as_it_fits() {
        assert_eq!(Text::of(format_args!("{:?}", [1, 2])).as_str(), "[1, 2]");
        let long = "é".repeat(TEXT_BYTES);
        let text = Text::of(format_args!("a{long}"));
        assert_eq!(text.as_str(), format!("a{}", "é".repeat((TEXT_BYTES - 1) / 2)));
        assert!(text.as_str().len() > MAX_RUN_TIME_NAME);
    }

    #[test]
    fn what_does_not_fit_is_not_formatted() {
        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("and so on, ")?;
                }
            }
        }
        assert_eq!(Text::of(format_args!("{Endless:?}")).as_str().len(), TEXT_BYTES);
    }
}
