//! Attributes in every macro, in unusual surroundings: names that are taken, keys that are dotted, values that are moved.

#![deny(warnings)]

use spanring::prelude::*;

const NAME: &str = "a constant";

fn bare() -> impl Future<Output = u32> {
    std::future::ready(1)
}

struct Service {
    err: u32,
}

impl Service {
    fn future(&self) -> impl Future<Output = u32> + use<> {
        std::future::ready(self.err)
    }

    fn futures(self) {
        let site = 1;
        let list = String::from("moved");
        drop(span_async_named!("span", site = site, list = list, self.future()));
        drop(span_async_named!(NAME, self.future()));
        drop(span_async_named!(NAME, err = self.err, async { 1 }));
        drop(span_async_named!("span", a.b.c = -1, r#type = 2, async move { self.err },));
        drop(span_async_named!("span", async { 1 }, |out, span| {
            span.record("out", *out);
        }));
        drop(span_async_named!("span", a = 1, b = 2 + 3, bare(), move |out: &u32, _| assert!(*out == 1)));
        drop(instrument_named!(bare(), "span", a = Some(1), b = None::<&str>,));
        drop(instrument_named!(async { Ok::<u32, ()>(1) }, "span", err = 1, err));
        drop(instrument_named_dyn!(bare(), String::from("span"), a = 1.5));
    }
}

#[span_fn(fields(message = message, length = message.len()))]
fn scopes(message: &str) {
    span_scope!("scope", message = message);
    span_scope!("scope", message = message, n = 1,);
    span_scope!(NAME, n = 1);
    span_scope!(DESCRIPTION, NAME, n = 1);
    span_scope!(OTHER, NAME);
    span_scope_named!(NAME, n = 1);
    span_scope_named!(LOCATION, NAME, n = 1);
    span_scope_named_dyn!(message, n = 1);
    let guard = span_guard!(format!("guard of {message}"));
    guard.record("n", 1).record("m", message);
    let _ = (DESCRIPTION.name, OTHER.name, LOCATION.line);
}

/// What only the span tells is used.
#[span_fn(fields(order = order, size = items.len()), err)]
async fn only_in_fields(order: u64, items: Vec<u8>) -> Result<(), ()> {
    Ok(())
}

fn main() {
    drop(only_in_fields(1, Vec::new()));
    Service { err: 1 }.futures();
    scopes("text");
    instant!("instant");
    instant!(format!("instant {}", 1), a = "b", c = String::from("d"),);
    counter!("counter", 1);
    if true {
        counter!("counter", -0.5,)
    } else {
        instant!(NAME)
    }
}
