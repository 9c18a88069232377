//! The attribute's arguments: `#[span_fn("name", crate = path)]`.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitStr, Path, Result, Token};

/// What the parentheses of `#[span_fn(..)]` said.
#[derive(Default)]
pub struct Args {
    /// The span's name; without one, the function's name.
    pub name: Option<LitStr>,
    /// Where `spanring` is found; without one, `::spanring`.
    pub krate: Option<Path>,
}

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut args = Args::default();
        while !input.is_empty() {
            args.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    fn parse_one(&mut self, input: ParseStream) -> Result<()> {
        if input.peek(LitStr) {
            self.set_name(input.parse()?)
        } else if input.peek(Ident::peek_any) && input.peek2(Token![=]) {
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            if key == "crate" { self.set_crate(&key, input) } else { Err(unknown(&key, input)) }
        } else {
            let value: Expr = input.parse()?;
            Err(Error::new_spanned(
                value,
                "the name of the span must be a string literal, such as `#[span_fn(\"load_user\")]`; for a name that \
                 is computed, use `span_async_named_dyn!` or `span_scope_named_dyn!` in the function's body",
            ))
        }
    }

    fn set_name(&mut self, name: LitStr) -> Result<()> {
        if self.name.is_some() {
            return Err(Error::new_spanned(name, "a span has one name: remove this second one"));
        }
        if name.value().is_empty() {
            return Err(Error::new_spanned(
                name,
                "the name of the span is empty: write a name, or `#[span_fn]` to use the function's name",
            ));
        }
        self.name = Some(name);
        Ok(())
    }

    fn set_crate(&mut self, key: &Ident, input: ParseStream) -> Result<()> {
        if self.krate.is_some() {
            return Err(Error::new_spanned(key, "`crate` is given twice: remove one of them"));
        }
        if let Ok(text) = input.parse::<LitStr>() {
            let message = format!("`crate` takes a path, not a string: write `crate = {}`", text.value());
            return Err(Error::new_spanned(text, message));
        }
        self.krate = Some(input.call(Path::parse_mod_style)?);
        Ok(())
    }
}

fn unknown(key: &Ident, input: ParseStream) -> Error {
    let advice = match input.parse::<LitStr>() {
        Ok(name) => format!("write the name alone: `#[span_fn({})]`", name.token()),
        Err(_) => "`#[span_fn]` takes a name and `crate = path`".to_owned(),
    };
    Error::new_spanned(key, format!("unknown argument `{key}`: {advice}"))
}
