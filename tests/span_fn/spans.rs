//! What is recorded, and under which name.

use super::*;

#[span_fn]
async fn outer() {
    inner().await;
    inner().await;
}

#[span_fn("the inner one")]
async fn inner() {
    give_way().await;
}

#[test]
fn an_async_fn_is_a_span_named_after_it_or_as_the_attribute_says() {
    assert_eq!(tree(outer), "outer\n  the inner one\n  the inner one\n");
}

#[span_fn]
async fn awaits<F: Future>(future: F) {
    future.await;
}

#[span_fn]
async fn calls_here_and_awaits_there() {
    let called_here = inner();
    awaits(called_here).await;
}

#[test]
fn the_parent_is_the_span_of_the_call_and_not_of_the_first_poll() {
    let expected = "calls_here_and_awaits_there\n  awaits\n  the inner one\n";
    assert_eq!(tree(calls_here_and_awaits_there), expected);
}

#[span_fn]
async fn calls_and_drops() {
    drop(inner());
    give_way().await;
}

#[test]
fn a_future_that_is_never_polled_is_no_span() {
    assert_eq!(tree(calls_and_drops), "calls_and_drops\n");
}

#[span_fn]
fn plain(number: u32) -> u32 {
    if number == 0 {
        return 1;
    }
    number * 2
}

#[span_fn("named")]
fn plain_named() {}

#[test]
fn a_plain_fn_is_a_thread_span_around_its_call() {
    let recorded = record(|| {
        assert_eq!(plain(4), 8);
        assert_eq!(plain(0), 1);
        plain_named();
    });
    assert_eq!(recorded.tree(), "plain (thread)\nplain (thread)\nnamed (thread)\n");
}

#[span_fn]
async fn r#match() {}

#[test]
fn a_raw_identifier_gives_its_bare_name() {
    assert_eq!(tree(r#match), "match\n");
}

const LINES: [u32; 2] = [line!() + 4, line!() + 8];

#[span_fn]
#[inline]
async fn located() {}

#[span_fn("located", crate = reexport::nested::spanring)]
#[inline]
fn plain_located() {}

#[test]
fn the_location_is_the_line_of_the_functions_name() {
    let recorded = record(|| {
        plain_located();
        assert!(pin!(located()).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    let [plain, location] = &recorded.spans[..] else { panic!("two spans: {}", recorded.tree()) };
    assert_eq!([location.line, plain.line], LINES);
    assert!(plain.file.ends_with("spans.rs"));
    assert_eq!(plain.target, module_path!());
}

#[span_fn]
async fn fails(text: &str) -> Result<u32, Box<dyn std::error::Error>> {
    let number: u32 = text.parse()?;
    if number == 0 {
        return Err("zero".into());
    }
    Ok(number)
}

#[test]
fn question_mark_and_return_end_the_span_like_the_end_of_the_body() {
    let tree = tree(async || {
        assert_eq!(fails("7").await.unwrap(), 7);
        assert_eq!(fails("0").await.unwrap_err().to_string(), "zero");
        assert!(fails("seven").await.is_err());
    });
    assert_eq!(tree, "fails\nfails\nfails\n");
}

#[span_fn]
async fn never_returns(times: &RefCell<u32>) -> ! {
    loop {
        *times.borrow_mut() += 1;
        give_way().await;
    }
}

#[test]
fn an_async_fn_that_never_returns_is_cancelled_when_dropped() {
    let times = RefCell::new(0);
    let tree = tree(async || {
        let mut endless = pin!(never_returns(&times));
        std::future::poll_fn(|context| {
            assert!(endless.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    });
    assert_eq!(tree, "never_returns [cancelled]\n");
    assert_eq!(*times.borrow(), 1);
}

#[span_fn]
fn panics() -> ! {
    panic!("on purpose")
}

#[test]
fn a_plain_fn_that_never_returns_keeps_its_type() {
    let recorded = record(|| assert!(std::panic::catch_unwind(|| panics()).is_err()));
    assert_eq!(recorded.tree(), "panics (thread) [panicked]\n");
}

#[span_fn]
async fn factorial(n: u64) -> u64 {
    if n == 0 { 1 } else { n * Box::pin(factorial(n - 1)).await }
}

#[test]
fn recursion_nests_spans() {
    let tree = tree(async || assert_eq!(factorial(2).await, 2));
    assert_eq!(tree, "factorial\n  factorial\n    factorial\n");
}

mod reexport {
    pub mod nested {
        pub use ::spanring;
    }
}

#[span_fn(crate = reexport::nested::spanring)]
fn through_a_path() -> u32 {
    1
}

#[span_fn("named through a path", crate = reexport::nested::spanring)]
fn named_through_a_path() -> impl Future<Output = u32> {
    std::future::ready(1)
}

macro_rules! define {
    ($name:ident, $text:literal) => {
        #[span_fn($text, crate = $crate::spans::reexport::nested::spanring)]
        async fn $name(value: &u32) -> &u32 {
            value
        }
    };
}
define!(defined, "from a macro");

#[test]
fn the_path_of_the_crate_can_be_given() {
    let tree = tree(async || assert_eq!(through_a_path() + named_through_a_path().await + defined(&1).await, 3));
    assert_eq!(tree, "through_a_path (thread)\nnamed through a path\nfrom a macro\n");
}
