//! The header that begins every file.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic, `SPANRING` |
//! | 8 | 4 | version of the format, [`VERSION`] |
//! | 12 | 4 | kind of the file |
//! | 16 | 16 | session id: the same in all files of one session |
//! | 32 | 8 | number of this file among those of its kind |
//! | 40 | 8 | wall clock at creation, nanoseconds since 1970 |
//! | 48 | 4 | length of the header up to the first block or word of content |
//! | 52 | 8 | 0 |
//! | 60 | 4 | CRC-32 of bytes 0 to 60 |
//!
//! Magic, version and checksum stay where they are in every version, so that a newer file is told from a damaged one.
//!
//! | version | new in it |
//! |---|---|
//! | 1 | |
//! | 2 | polls, which a reader of version 1 would pass over as a kind that it does not know; the time of creation in begins, which it would take for damage |
//! | 3 | the outcome *failed*, which a reader of version 2 would take for damage; attributes, instants and counters, which it would pass over |

use super::word_at;

/// The version of the format that this crate writes, and the newest that it reads.
///
/// ```
/// use spanring::format::{FormatError, VERSION};
///
/// let newer = FormatError::Newer { version: VERSION + 1 };
/// assert!(newer.to_string().contains("use a newer spanring"));
/// ```
pub const VERSION: u32 = 3;

/// Bytes of a [`FileHeader`].
///
/// ```
/// use spanring::format::FileHeader;
/// use spanring::format::file::FILE_HEADER_BYTES;
/// use std::io::Read;
///
/// fn header_of(file: &std::path::Path) -> Result<FileHeader, Box<dyn std::error::Error>> {
///     let mut bytes = [0; FILE_HEADER_BYTES];
///     std::fs::File::open(file)?.read_exact(&mut bytes)?;
///     Ok(FileHeader::decode(&bytes)?)
/// }
/// # assert!(header_of(std::path::Path::new("/no/such/file")).is_err());
/// ```
pub const FILE_HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"SPANRING";

/// What tells one process run from every other.
///
/// ```
/// use spanring::format::SessionId;
///
/// assert_eq!(SessionId([1, 0xff]).to_string(), "000000000000000100000000000000ff");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u64; 2]);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.0[0], self.0[1])
    }
}

/// What a file holds.
///
/// ```
/// use spanring::format::FileKind;
///
/// assert_eq!(FileKind::Names.file_name(0), "names.spanring");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FileKind {
    /// Facts, self-description, status.
    Session = 1,
    /// One thread's ring.
    Ring = 2,
    /// Definitions of locations and names.
    Names = 3,
    /// Flushed blocks.
    Segment = 4,
}

impl FileKind {
    const ALL: [FileKind; 4] = [FileKind::Session, FileKind::Ring, FileKind::Names, FileKind::Segment];

    /// The file's name in its directory.
    ///
    /// ```
    /// use spanring::format::FileKind;
    ///
    /// assert_eq!(FileKind::Ring.file_name(3), "ring-00003.spanring");
    /// assert_eq!(FileKind::Segment.file_name(17), "segment-000017.spanring");
    /// ```
    pub fn file_name(self, number: u64) -> String {
        match self {
            FileKind::Session => "session.spanring".to_owned(),
            FileKind::Ring => format!("ring-{number:05}.spanring"),
            FileKind::Names => "names.spanring".to_owned(),
            FileKind::Segment => format!("segment-{number:06}.spanring"),
        }
    }
}

/// The first 64 bytes of a file.
///
/// ```
/// use spanring::format::{FileHeader, FileKind, SessionId};
///
/// let (kind, session) = (FileKind::Segment, SessionId([1, 2]));
/// let header = FileHeader { kind, session, number: 3, created_unix_ns: 4, header_bytes: 64 };
/// assert_eq!(FileHeader::decode(&header.encode()), Ok(header));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file holds.
    pub kind: FileKind,
    /// The session that it belongs to.
    pub session: SessionId,
    /// Its number among the files of its kind in the session.
    pub number: u64,
    /// Wall clock at creation, nanoseconds since 1970.
    pub created_unix_ns: u64,
    /// Length of the header, up to the first block or word of content.
    pub header_bytes: u32,
}

impl FileHeader {
    /// The header as bytes.
    ///
    /// ```
    /// use spanring::format::{FileHeader, FileKind, SessionId};
    ///
    /// let (kind, session) = (FileKind::Names, SessionId([1, 2]));
    /// let header = FileHeader { kind, session, number: 0, created_unix_ns: 4, header_bytes: 64 };
    /// assert!(header.encode().starts_with(b"SPANRING"));
    /// ```
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.session.0[0].to_le_bytes());
        bytes[24..32].copy_from_slice(&self.session.0[1].to_le_bytes());
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_unix_ns.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.header_bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`.
    ///
    /// # Errors
    /// If this is no spanring file, one of a newer version, or a damaged one.
    ///
    /// ```
    /// use spanring::format::{FileHeader, FormatError};
    ///
    /// assert_eq!(FileHeader::decode(b"PK\x03\x04 another file"), Err(FormatError::NotSpanring));
    /// assert_eq!(FileHeader::decode(b"SPANRING"), Err(FormatError::Short { bytes: 8 }));
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<FileHeader, FormatError> {
        let half = |offset: usize| (word_at(bytes, offset & !7).unwrap_or(0) >> ((offset & 7) * 8)) as u32;
        let word = |offset: usize| word_at(bytes, offset).unwrap_or(0);
        let magic = bytes.get(..8).ok_or(FormatError::Short { bytes: bytes.len() as u64 })?;
        if magic != MAGIC {
            return Err(FormatError::NotSpanring);
        }
        if bytes.len() < FILE_HEADER_BYTES {
            return Err(FormatError::Short { bytes: bytes.len() as u64 });
        }
        if crc32fast::hash(&bytes[..60]) != half(60) || half(8) == 0 {
            return Err(FormatError::Damaged { what: "the file header's checksum is wrong" });
        }
        if half(8) > VERSION {
            return Err(FormatError::Newer { version: half(8) });
        }
        let kind = FileKind::ALL.into_iter().find(|kind| *kind as u32 == half(12));
        Ok(FileHeader {
            kind: kind.ok_or(FormatError::Damaged { what: "the kind of file is unknown" })?,
            session: SessionId([word(16), word(24)]),
            number: word(32),
            created_unix_ns: word(40),
            header_bytes: half(48),
        })
    }
}

/// Why bytes are not what they should be. The reader adds the path and the offset.
///
/// ```
/// use spanring::format::FormatError;
///
/// let error = FormatError::Short { bytes: 8 };
/// assert_eq!(error.to_string(), "only 8 bytes long: cut off, or still being created");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// There are fewer bytes than a header has.
    Short {
        /// Bytes there are.
        bytes: u64,
    },
    /// The magic is another.
    NotSpanring,
    /// The format is newer than this reader.
    Newer {
        /// Its version.
        version: u32,
    },
    /// It is a file of another session.
    OtherSession,
    /// It was a spanring file.
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FormatError::Short { bytes } => write!(f, "only {bytes} bytes long: cut off, or still being created"),
            FormatError::NotSpanring => f.write_str("not a spanring file (its first 8 bytes are not SPANRING)"),
            FormatError::Newer { version } => write!(
                f,
                "written in version {version} of the format, and this program reads up to {VERSION}: use a newer spanring"
            ),
            FormatError::OtherSession => f.write_str("a file of another session: it belongs in that one's directory"),
            FormatError::Damaged { what } => write!(f, "damaged: {what}"),
        }
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        FileHeader {
            kind: FileKind::Segment,
            session: SessionId([1, 2]),
            number: 3,
            created_unix_ns: 4,
            header_bytes: 64,
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        assert_eq!(FileHeader::decode(&header().encode()), Ok(header()));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = header().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_shorter_length_is_an_error() {
        let bytes = header().encode();
        assert!((0..bytes.len()).all(|length| FileHeader::decode(&bytes[..length]).is_err()));
    }

    #[test]
    fn a_newer_version_says_what_to_do() {
        let mut bytes = header().encode();
        let version = VERSION + 1;
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        assert!(
            matches!(FileHeader::decode(&bytes), Err(FormatError::Damaged { .. })),
            "its checksum is that of this version"
        );
        let checksum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(FileHeader::decode(&bytes), Err(FormatError::Newer { version }));
        assert!(FormatError::Newer { version }.to_string().contains("use a newer spanring"));
    }
}
