//! A module in which the names of the prelude, and those that `spanring` uses, mean something else.

#![deny(warnings)]
#![forbid(unsafe_code)]
#![allow(dead_code)]

mod prelude {
    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Box;
    pub struct Pin;
    pub trait Future {}
    pub fn call() -> u32 {
        1
    }
    pub mod core {}
    pub mod std {}
    pub mod spanring {}
}

use prelude::*;

const SPAN: u32 = 1;
const DESC: u32 = 1;

#[::spanring::span_fn]
async fn output(output: u32, r#async: u32) -> u32 {
    output + r#async + SPAN + DESC + call()
}

#[::spanring::span_fn]
fn guard(_guard: u32) -> u32 {
    _guard + SPAN + DESC + call()
}

#[::spanring::span_fn]
fn boxed(early: bool) -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = u32>>> {
    if early {
        return ::std::boxed::Box::pin(output(1, 1));
    }
    ::std::boxed::Box::pin(output(SPAN, DESC))
}

fn main() {
    assert_eq!(guard(1), 4);
    drop(boxed(true));
    drop(boxed(false));
}
