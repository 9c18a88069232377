//! A future is `Send` exactly if it was before.

use super::*;

#[span_fn]
async fn with_an_argument<T>(value: T) -> T {
    give_way().await;
    value
}

#[span_fn]
async fn with_an_unused_argument<T>(_unused: &T) {}

/// Whether the type of this value is `Send`.
macro_rules! is_send {
    ($value:expr) => {{
        struct Probe<T>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        trait Otherwise {
            fn is_send(&self) -> bool {
                false
            }
        }
        impl<T> Otherwise for Probe<T> {}
        #[allow(dead_code)]
        impl<T: Send> Probe<T> {
            fn is_send(&self) -> bool {
                true
            }
        }
        fn probe<T>(_: &T) -> Probe<T> {
            Probe(std::marker::PhantomData)
        }
        probe(&$value).is_send()
    }};
}

#[test]
fn a_future_is_send_exactly_if_its_arguments_and_body_are() {
    assert!(is_send!(with_an_argument(1)));
    assert!(!is_send!(with_an_argument(std::rc::Rc::new(1))));
    assert!(is_send!(with_an_unused_argument(&1)));
    assert!(!is_send!(with_an_unused_argument(&std::cell::Cell::new(1))));
}
