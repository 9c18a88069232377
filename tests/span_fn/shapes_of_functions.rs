//! Every way to write a function and its parameters.

use super::*;

struct Service {
    name: String,
    calls: u32,
}

impl Service {
    fn new() -> Self {
        Service { name: "service".to_owned(), calls: 0 }
    }

    #[span_fn]
    async fn by_reference(&self) -> &str {
        give_way().await;
        &self.name
    }

    #[span_fn]
    async fn by_unique_reference(&mut self, times: u32) -> u32 {
        self.calls += times;
        give_way().await;
        self.calls
    }

    #[span_fn]
    async fn by_value(mut self) -> String {
        self.name.push('!');
        give_way().await;
        self.name
    }

    #[span_fn]
    async fn by_arc(self: Arc<Self>) -> usize {
        give_way().await;
        Arc::strong_count(&self)
    }

    #[span_fn]
    async fn by_pin(self: Pin<&mut Self>) -> u32 {
        give_way().await;
        self.get_mut().calls
    }

    #[span_fn]
    async fn longer_of<'a>(&'a self, other: &'a str) -> &'a str {
        if other.len() > self.name.len() { other } else { self.by_reference().await }
    }

    #[span_fn]
    fn plain_method(&mut self) -> &mut u32 {
        &mut self.calls
    }
}

#[test]
fn methods_take_self_in_every_way() {
    let tree = tree(async || {
        let mut service = Service::new();
        assert_eq!(service.by_reference().await, "service");
        assert_eq!(service.by_unique_reference(2).await, 2);
        assert_eq!(Pin::new(&mut service).by_pin().await, 2);
        assert_eq!(service.longer_of("x").await, "service");
        *service.plain_method() += 1;
        assert_eq!(service.calls, 3);
        assert_eq!(service.by_value().await, "service!");
        assert_eq!(Arc::new(Service::new()).by_arc().await, 1);
    });
    let expected = "by_reference\nby_unique_reference\nby_pin\nlonger_of\n  by_reference\n\
                    plain_method (thread)\nby_value\nby_arc\n";
    assert_eq!(tree, expected);
}

#[span_fn]
async fn generic<'a, T, const N: usize>(items: &'a [T; N], join: impl Fn(&T) -> String) -> (usize, &'a T, String)
where
    T: Display + Clone,
{
    give_way().await;
    (N, &items[0], items.iter().map(join).collect())
}

#[span_fn]
async fn opaque(text: &str) -> Result<impl Iterator<Item = char> + '_, Box<dyn std::error::Error>> {
    let _: u32 = text.parse()?;
    Ok(text.chars().rev())
}

#[span_fn]
async fn coerces(short: bool) -> Box<dyn Display> {
    if short {
        return Box::new('c');
    }
    Box::new("string")
}

#[test]
fn generics_opaque_types_and_coercions() {
    let tree = tree(async || {
        let (count, first, all) = generic(&[1, 2, 3], |item| format!("<{item}>")).await;
        assert_eq!((count, *first, all.as_str()), (3, 1, "<1><2><3>"));
        assert_eq!(opaque("12").await.unwrap().collect::<String>(), "21");
        assert!(opaque("x").await.is_err());
        assert_eq!(coerces(true).await.to_string() + &coerces(false).await.to_string(), "cstring");
    });
    assert_eq!(tree, "generic\nopaque\nopaque\ncoerces\ncoerces\n");
}

struct View<'a>(&'a str);

impl View<'_> {
    #[span_fn]
    async fn joined(&self, other: &str) -> String {
        give_way().await;
        self.0.to_owned() + other
    }
}

// The hidden lifetime is what is tested here.
#[allow(elided_lifetimes_in_paths)]
#[span_fn]
async fn hidden_lifetime(view: View, lock: &Mutex<u32>) -> usize {
    give_way().await;
    view.0.len() + *lock.lock().unwrap() as usize
}

#[span_fn]
async fn two_lifetimes(a: &str, b: &RefCell<String>) -> usize {
    b.borrow_mut().push_str(a);
    give_way().await;
    b.borrow().len()
}

#[test]
fn elided_and_hidden_lifetimes_are_captured() {
    let tree = tree(async || {
        let text = String::from("text");
        assert_eq!(View(&text).joined("!").await, "text!");
        assert_eq!(hidden_lifetime(View(&text), &Mutex::new(1)).await, 5);
        assert_eq!(two_lifetimes(&text, &RefCell::default()).await, 4);
    });
    assert_eq!(tree, "joined\nhidden_lifetime\ntwo_lifetimes\n");
}

#[span_fn]
async fn patterns((a, b): (u32, u32), mut c: u32, _: u32, View(text): View<'_>, [first, ..]: [u32; 3]) -> u32 {
    c += 1;
    give_way().await;
    a + b + c + u32::try_from(text.len()).unwrap() + first
}

#[span_fn]
async fn attributes_on_arguments(
    #[cfg(any())] gone: Missing,
    #[cfg(not(any()))] here: u32,
    #[allow(unused_variables)] unused: u32,
    #[expect(unused_variables)] (unused_too, b): (u32, u32),
) -> u32 {
    here + b
}

#[test]
fn arguments_are_patterns_and_have_attributes() {
    let tree = tree(async || {
        assert_eq!(patterns((1, 2), 3, 4, View("text"), [5, 6, 7]).await, 16);
        assert_eq!(attributes_on_arguments(1, 2, (3, 4)).await, 5);
    });
    assert_eq!(tree, "patterns\nattributes_on_arguments\n");
}

/// # Safety
///
/// `number` must be valid.
#[span_fn]
async unsafe fn reads(number: *const u32) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { *number }
}

#[span_fn]
extern "C" fn twice(number: u32) -> u32 {
    number * 2
}

#[test]
fn unsafe_and_extern_functions() {
    let tree = tree(async || {
        // SAFETY: the reference is valid.
        assert_eq!(unsafe { reads(&3).await } + twice(4), 11);
    });
    assert_eq!(tree, "reads\ntwice (thread)\n");
}

#[span_fn]
#[must_use]
#[inline]
async fn with_other_attributes() -> u32 {
    #![allow(unused_variables)]
    let unused = 2;
    1
}

#[test]
fn other_attributes_stay() {
    assert_eq!(tree(async || { assert_eq!(with_other_attributes().await, 1) }), "with_other_attributes\n");
}

// A name that the expansion uses must not hide the one that the body means.
static SPAN: u32 = 5;

#[span_fn]
async fn sees_the_static_of_its_module() -> u32 {
    SPAN
}

#[test]
fn names_in_the_body_mean_what_they_meant() {
    let tree = tree(async || assert_eq!(sees_the_static_of_its_module().await, 5));
    assert_eq!(tree, "sees_the_static_of_its_module\n");
}
