//! Items that are no functions.

use spanring::span_fn;

#[span_fn]
struct Service {
    name: String,
}

#[span_fn]
enum Choice {}

#[span_fn]
impl Service {
    async fn call(&self) {}
}

#[span_fn]
trait Call {
    async fn call(&self) {}
}

#[span_fn]
mod module {
    pub async fn call() {}
}

#[span_fn]
const LIMIT: u32 = 1;

#[span_fn]
static STATE: u32 = 1;

#[span_fn]
type Alias = u32;

#[span_fn]
unsafe extern "C" {
    fn foreign();
}

fn main() {}
