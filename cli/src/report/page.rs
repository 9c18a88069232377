//! The page around the data: markup, style and scripts in one file.
//!
//! Each script is a module of its own, to be read and checked as one. In the page they are one module: their lines of `import`
//! go, and `export` does not matter. So no two of them may call something at their top level the same.

use super::{Report, Written};
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

const PAGE: &str = include_str!("assets/page.html");
const STYLES: [&str; 2] = [include_str!("assets/vendor/uplot-1.6.32.min.css"), include_str!("assets/page.css")];
/// Distributions and activity are drawn by uPlot 1.6.32, by Leon Sorokin, under the MIT licence.
const UPLOT: [&str; 3] = ["/*\n", include_str!("assets/vendor/LICENSE-uplot"), "\n*/\n"];
const UPLOT_SCRIPT: &str = include_str!("assets/vendor/uplot-1.6.32.min.js");
/// What is used comes before what uses it.
const MODULES: [&str; 11] = [
    include_str!("assets/text.js"),
    include_str!("assets/data.js"),
    include_str!("assets/colour.js"),
    include_str!("assets/charts.js"),
    include_str!("assets/beside.js"),
    include_str!("assets/summary.js"),
    include_str!("assets/timeline.js"),
    include_str!("assets/names.js"),
    include_str!("assets/details.js"),
    include_str!("assets/search.js"),
    include_str!("assets/main.js"),
];

impl Report {
    /// Writes the page.
    ///
    /// # Errors
    /// If `out` fails.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::progress::Silent;
    /// use spanring_cli::report::{Options, Report};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::open("recording")?;
    /// let mut page = Vec::new();
    /// let written = Report::read(&recording, &Options::default(), &mut Silent)?.write(&mut page)?;
    /// assert_eq!(written.bytes, page.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn write(&self, out: &mut dyn Write) -> io::Result<Written> {
        let mut out = Counted { out, bytes: 0 };
        // Scripts without this word do not run, wherever they come from. It only has to be unknown to whoever made the recording.
        let nonce = format!("{:016x}", RandomState::new().hash_one("nonce"));
        let mut rest = PAGE;
        while let Some((before, (marker, after))) =
            rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
        {
            out.write_all(before.as_bytes())?;
            match marker {
                "nonce" => out.write_all(nonce.as_bytes())?,
                "styles" => write_all(&mut out, &STYLES)?,
                "uplot" => {
                    write_all(&mut out, &UPLOT)?;
                    out.write_all(UPLOT_SCRIPT.as_bytes())?;
                }
                "modules" => write_all(&mut out, &[&modules()])?,
                "data" => self.write_data(&mut out)?,
                _ => unreachable!("the page has no other markers"),
            }
            rest = after;
        }
        out.write_all(rest.as_bytes())?;
        out.flush()?;
        Ok(Written {
            spans: self.info.spans,
            shown: self.sample.spans.len() as u64,
            open: self.info.open_spans,
            missing_records: self.info.missing.records(),
            bytes: out.bytes,
        })
    }

    fn write_data(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut encoder = ZlibEncoder::new(EncoderWriter::new(out, &STANDARD), Compression::new(6));
        self.write_columns(&mut encoder)?;
        encoder.finish()?.finish()?;
        Ok(())
    }
}

/// All modules as one.
fn modules() -> String {
    let lines = MODULES.iter().flat_map(|module| module.lines()).filter(|line| !line.starts_with("import "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn write_all(out: &mut dyn Write, texts: &[&str]) -> io::Result<()> {
    texts.iter().try_for_each(|text| out.write_all(text.as_bytes()))
}

/// Counts what is written.
struct Counted<'w> {
    out: &'w mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_or_style_ends_its_element() {
        for text in STYLES.iter().chain(&UPLOT).chain(&[UPLOT_SCRIPT]).chain(&MODULES) {
            let text = text.to_lowercase();
            assert!(!["</script", "</style", "<!--"].iter().any(|end| text.contains(end)));
        }
    }

    #[test]
    fn nothing_in_the_page_names_an_address_to_load_from() {
        for text in STYLES.iter().chain(&MODULES).chain([&PAGE]) {
            // That one is the name of a language.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for loads in ["http://", "https://", "url(", "@import", "fetch(", "src=", "import("] {
                assert!(!text.contains(loads), "{loads}");
            }
        }
    }
}
