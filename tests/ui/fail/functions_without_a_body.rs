//! Functions without a body have nothing to record.

use spanring::span_fn;

trait Call {
    #[span_fn]
    async fn call(&self) -> u32;

    #[span_fn("named")]
    fn call_at_once();
}

unsafe extern "C" {
    #[span_fn]
    pub fn foreign(number: u32) -> u32;

    #[span_fn]
    safe fn foreign_and_safe();
}

fn main() {}
