//! Functions that are not `async`, but return a future.

use super::*;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[span_fn]
fn opaque(number: u32) -> impl Future<Output = u32> + Send {
    let doubled = number * 2;
    async move {
        give_way().await;
        doubled
    }
}

#[span_fn]
fn opaque_with_early_return(text: Option<&str>) -> impl Future<Output = usize> + use<'_> {
    let Some(text) = text else { return std::future::ready(0) };
    std::future::ready(text.len())
}

#[span_fn]
#[allow(clippy::manual_async_fn)]
fn opaque_that_reborrows(items: &mut Vec<u32>) -> impl Future<Output = ()> + use<'_> {
    async { items.push(2) }
}

#[span_fn]
fn boxed(text: &str) -> Pin<Box<dyn Future<Output = Result<u32, std::num::ParseIntError>> + Send + '_>> {
    let text = text.trim();
    Box::pin(async move {
        let number: u32 = text.parse()?;
        give_way().await;
        Ok(number)
    })
}

#[span_fn]
fn boxed_with_early_return(text: Option<&str>) -> Pin<Box<dyn Future<Output = usize> + '_>> {
    let Some(text) = text else {
        return Box::pin(std::future::ready(0));
    };
    Box::pin(async move { text.len() })
}

#[span_fn]
fn boxed_by_its_alias<'a>(text: &'a str) -> BoxFuture<'a, usize> {
    assert!(!text.is_empty());
    Box::pin(async move { text.len() })
}

#[span_fn]
fn boxed_elsewhere(text: &str) -> BoxFuture<'_, usize> {
    boxed_by_its_alias(text)
}

#[test]
fn the_future_that_a_fn_returns_is_the_span() {
    let tree = tree(async || {
        assert_eq!(opaque(2).await, 4);
        assert_eq!(opaque_with_early_return(None).await + opaque_with_early_return(Some("abc")).await, 3);
        let mut items = vec![1];
        opaque_that_reborrows(&mut items).await;
        assert_eq!(items, [1, 2]);
        assert_eq!(boxed(" 7 ").await, Ok(7));
        assert!(boxed("x").await.is_err());
        assert_eq!(boxed_with_early_return(None).await + boxed_with_early_return(Some("ab")).await, 2);
        assert_eq!(boxed_elsewhere("text").await, 4);
    });
    let expected = "opaque\nopaque_with_early_return\nopaque_with_early_return\nopaque_that_reborrows\n\
                    boxed\nboxed\nboxed_with_early_return\nboxed_with_early_return\n\
                    boxed_elsewhere\nboxed_by_its_alias\n";
    assert_eq!(tree, expected);
}
