//! Parameters are dropped in the same order as without the attribute.

use super::*;

type Log = RefCell<Vec<&'static str>>;

/// Writes its name when it is dropped.
struct Loud<'a>(&'static str, &'a Log);

impl Drop for Loud<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

struct Pair<'a> {
    left: Loud<'a>,
    right: Option<Loud<'a>>,
}

/// Polls a future so many times, and then drops it.
fn poll<F: Future>(times: usize, future: F) {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        let _ = future.as_mut().poll(&mut context);
    }
}

/// Defines the same functions in a module of that name, with the attribute or without one.
macro_rules! functions {
    ($module:ident $(, $attribute:ident)?) => {
        mod $module {
            use super::*;

            impl<'a> Pair<'a> {
                $(#[$attribute])?
                async fn $module(mut self, _a: Loud<'a>, _: Loud<'a>, (_b, _): (Loud<'a>, Loud<'a>), mut c: Loud<'a>) {
                    let _local = Loud("local", self.left.1);
                    give_way().await;
                    self.right = None;
                    c.0 = "c, changed";
                }
            }

            pub fn async_fn(log: &Log, polls: usize) {
                let loud = |name| Loud(name, log);
                let pair = Pair { left: loud("left"), right: Some(loud("right")) };
                poll(polls, pair.$module(loud("a"), loud("_"), (loud("b"), loud("rest")), loud("c")));
            }

            $(#[$attribute])?
            fn plain<'a>(a: Loud<'a>, _: Loud<'a>, (_, b): (Loud<'a>, Loud<'a>), leave: bool) {
                let _local = Loud("local", a.1);
                if leave {
                    return;
                }
                drop(b);
            }

            pub fn plain_fn(log: &Log, leave: bool) {
                let loud = |name| Loud(name, log);
                plain(loud("a"), loud("_"), (loud("rest"), loud("b")), leave);
            }

            $(#[$attribute])?
            fn future<'a>(
                a: Loud<'a>,
                _: Loud<'a>,
                (_, b): (Loud<'a>, Loud<'a>),
                leave: bool,
            ) -> impl Future<Output = ()> + use<'a> {
                let _local = Loud("local", a.1);
                if leave {
                    return std::future::ready(());
                }
                drop(b);
                std::future::ready(())
            }

            pub fn future_fn(log: &Log, leave: bool) {
                let loud = |name| Loud(name, log);
                let future = future(loud("a"), loud("_"), (loud("rest"), loud("b")), leave);
                log.borrow_mut().push("returned");
                poll(1, future);
            }
        }
    };
}
functions!(without);
functions!(with, span_fn);

fn drops(run: impl FnOnce(&Log)) -> Vec<&'static str> {
    let log = Log::default();
    run(&log);
    log.into_inner()
}

#[test]
fn is_that_of_the_same_async_fn_without_the_attribute() {
    for polls in 0..=2 {
        let expected = drops(|log| without::async_fn(log, polls));
        assert_eq!(drops(|log| with::async_fn(log, polls)), expected, "dropped after {polls} polls");
    }
}

#[test]
fn is_that_of_the_same_fn_without_the_attribute() {
    for leave in [true, false] {
        assert_eq!(drops(|log| with::plain_fn(log, leave)), drops(|log| without::plain_fn(log, leave)));
        assert_eq!(drops(|log| with::future_fn(log, leave)), drops(|log| without::future_fn(log, leave)));
    }
}

#[span_fn]
async fn ends_in_a_temporary(lock: Arc<Mutex<u32>>) -> u32 {
    // The guard, a temporary of the last expression, has to go before the lock.
    *lock.lock().unwrap()
}

#[test]
fn temporaries_of_the_last_expression_go_before_the_arguments() {
    assert_eq!(tree(async || { assert_eq!(ends_in_a_temporary(Arc::default()).await, 0) }), "ends_in_a_temporary\n");
}
