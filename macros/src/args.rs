//! The attribute's arguments: `#[span_fn("name", fields(key = value), err, crate = path)]`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::token::Paren;
use syn::{Error, Expr, Ident, LitStr, Path, Result, Token, parenthesized};

/// What the parentheses of `#[span_fn(..)]` said.
#[derive(Default)]
pub struct Args {
    /// The span's name; without one, the function's name.
    pub name: Option<LitStr>,
    /// Where `spanring` is found; without one, `::spanring`.
    pub krate: Option<Path>,
    /// The span's attributes.
    pub fields: Option<Punctuated<Field, Token![,]>>,
    /// Whether a result that is an `Err` makes the span a failed one.
    pub err: bool,
}

/// An attribute of the span: a key, in which there may be dots, and its value.
pub struct Field {
    key: Punctuated<Ident, Token![.]>,
    equals: Token![=],
    value: Expr,
}

impl Parse for Field {
    fn parse(input: ParseStream) -> Result<Self> {
        Ok(Field { key: Punctuated::parse_separated_nonempty(input)?, equals: input.parse()?, value: input.parse()? })
    }
}

impl Field {
    pub fn value(&self) -> &Expr {
        &self.value
    }
}

impl ToTokens for Field {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        self.equals.to_tokens(tokens);
        self.value.to_tokens(tokens);
    }
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
        } else if input.peek(Ident) && input.peek2(Paren) && input.fork().parse::<Ident>()? == "fields" {
            let key: Ident = input.parse()?;
            self.set_fields(&key, input)
        } else if input.peek(Ident) && !input.peek2(Token![=]) && input.fork().parse::<Ident>()? == "err" {
            let key: Ident = input.parse()?;
            if std::mem::replace(&mut self.err, true) {
                return Err(Error::new_spanned(key, "`err` is given twice: remove one of them"));
            }
            Ok(())
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

    fn set_fields(&mut self, key: &Ident, input: ParseStream) -> Result<()> {
        if self.fields.is_some() {
            return Err(Error::new_spanned(key, "`fields` is given twice: put all of them into one"));
        }
        let content;
        parenthesized!(content in input);
        self.fields = Some(Punctuated::parse_terminated(&content)?);
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
        Err(_) => "`#[span_fn]` takes a name, `fields(key = value)`, `err` and `crate = path`".to_owned(),
    };
    Error::new_spanned(key, format!("unknown argument `{key}`: {advice}"))
}
