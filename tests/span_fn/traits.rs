//! Methods of traits, with and without `#[async_trait]`.

use super::*;

trait Store {
    async fn get(&self, key: &str) -> Option<String>;

    fn size(&self) -> impl Future<Output = usize> + Send;

    #[span_fn]
    async fn get_or_key(&self, key: &str) -> String {
        self.get(key).await.unwrap_or_else(|| key.to_owned())
    }
}

struct Memory(Vec<String>);

impl Store for Memory {
    #[span_fn]
    async fn get(&self, key: &str) -> Option<String> {
        give_way().await;
        self.0.iter().find(|stored| *stored == key).map(|stored| format!("<{stored}>"))
    }

    #[span_fn]
    async fn size(&self) -> usize {
        give_way().await;
        self.0.len()
    }
}

#[test]
fn async_fn_in_traits_and_their_impls() {
    let tree = tree(async || {
        let store = Memory(vec!["a".to_owned()]);
        assert_eq!(store.get_or_key("a").await, "<a>");
        assert_eq!(store.get_or_key("b").await, "b");
        assert_eq!(store.size().await, 1);
    });
    assert_eq!(tree, "get_or_key\n  get\nget_or_key\n  get\nsize\n");
}

#[async_trait::async_trait]
trait Boxed: Sync {
    async fn length(&self, text: &str) -> Result<usize, std::num::TryFromIntError>;

    #[span_fn]
    async fn twice(&self, text: &str) -> Result<usize, std::num::TryFromIntError> {
        Ok(self.length(text).await? * 2)
    }
}

#[async_trait::async_trait]
impl Boxed for Memory {
    #[span_fn("async_trait length")]
    async fn length(&self, text: &str) -> Result<usize, std::num::TryFromIntError> {
        give_way().await;
        let length = u8::try_from(text.len() + self.0.len())?;
        Ok(length.into())
    }
}

#[test]
fn methods_of_async_trait() {
    let tree = tree(async || {
        let boxed: Box<dyn Boxed> = Box::new(Memory(Vec::new()));
        assert_eq!(boxed.twice("text").await, Ok(8));
        assert!(boxed.length(&"long".repeat(100)).await.is_err());
    });
    assert_eq!(tree, "twice\n  async_trait length\nasync_trait length\n");
}
