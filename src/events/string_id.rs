//! A static name as it stands in a record.

use bytemuck::{Pod, Zeroable};

/// Address and length of a static string in the recording process. An identity: it is never followed back to memory.
///
/// ```
/// use spanring::string_id::StringId;
///
/// let name: &'static str = "load";
/// let id = StringId::from(name);
/// assert_eq!(id.len, 4);
/// assert_eq!(id, StringId::from(name));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct StringId {
    /// Address of the first byte.
    pub ptr: u64,
    /// Length in bytes.
    pub len: u64,
}

impl From<&'static str> for StringId {
    #[inline(always)]
    fn from(text: &'static str) -> StringId {
        StringId { ptr: text.as_ptr().addr() as u64, len: text.len() as u64 }
    }
}
