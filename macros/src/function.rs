//! The annotated function, read only as far as `#[span_fn]` needs it, and the items that are refused.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{AttrStyle, Attribute, Error, Item, Result, Signature, Token, Visibility, braced};

/// A function with a body: free, in an impl, or in a trait.
pub struct Function {
    /// Its attributes, all as outer ones: those at the start of the body (`#![..]`) too.
    pub attrs: Vec<Attribute>,
    pub vis: Visibility,
    pub defaultness: Option<Token![default]>,
    pub sig: Signature,
    /// The body with its braces: a block of the user's, to stand inside the new body. It is not parsed, so that an
    /// unfinished body expands too, and the compiler reports it.
    pub body: Group,
}

impl Function {
    /// Reads the annotated item, or says why `#[span_fn]` cannot go on it.
    pub fn read(item: TokenStream) -> Result<Self> {
        let function = syn::parse2::<Function>(item.clone()).map_err(|error| refused_item(item).unwrap_or(error))?;
        if let Some(constness) = function.sig.constness {
            return Err(Error::new_spanned(
                constness,
                "`#[span_fn]` cannot go on a `const fn`, for a span is recorded at run time: remove `const`, or put \
                 `span_scope!(\"name\")` into the functions that call this one",
            ));
        }
        if function.sig.asyncness.is_some() {
            function.refuse_runtime_attribute()?;
        }
        Ok(function)
    }

    /// The function with this expression as its body. Its braces stay the user's: with others, the compiler would take
    /// the function for one that a macro made, and not report it when it is never called.
    pub fn with_body(&self, body: TokenStream) -> TokenStream {
        let Function { attrs, vis, defaultness, sig, .. } = self;
        let mut block = Group::new(Delimiter::Brace, body);
        block.set_span(self.body.span());
        quote!(#(#attrs)* #vis #defaultness #sig #block)
    }

    /// An attribute such as `#[tokio::main]` that is still there would get a function that is no longer `async`.
    fn refuse_runtime_attribute(&self) -> Result<()> {
        for path in self.attrs.iter().map(Attribute::path) {
            if path.segments.last().is_some_and(|name| name.ident == "main" || name.ident == "test") {
                let name = path.to_token_stream().to_string().replace(' ', "");
                let message = format!("put `#[span_fn]` below `#[{name}]`, which has to see the `async fn` first");
                return Err(Error::new_spanned(path, message));
            }
        }
        Ok(())
    }
}

impl Parse for Function {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let defaultness = if input.peek(Token![default]) { Some(input.parse()?) } else { None };
        let sig = input.parse()?;
        let content;
        let braces = braced!(content in input);
        for attr in content.call(Attribute::parse_inner)? {
            attrs.push(Attribute { style: AttrStyle::Outer, ..attr });
        }
        let statements: TokenStream = content.parse()?;
        // The empty statement keeps the compiler from advising to remove the braces around a single expression.
        let mut body = Group::new(Delimiter::Brace, quote!(; #statements));
        body.set_span(braces.span.join());
        Ok(Function { attrs, vis, defaultness, sig, body })
    }
}

/// A function without a body: of a trait, or of an `extern` block.
struct Declaration;

impl Parse for Declaration {
    fn parse(input: ParseStream) -> Result<Self> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        // `safe` qualifies foreign functions only, so that a signature on its own does not have it.
        if input.peek(syn::Ident) && input.peek2(Token![fn]) {
            input.parse::<syn::Ident>()?;
        }
        input.parse::<Signature>()?;
        input.parse::<Token![;]>()?;
        Ok(Declaration)
    }
}

/// Says what to do instead, if `item` is a whole item but not a function with a body.
fn refused_item(item: TokenStream) -> Option<Error> {
    if syn::parse2::<Declaration>(item.clone()).is_ok() {
        let message = "`#[span_fn]` needs a function with a body: put it on the methods in the impls of this trait or, \
                       if the function is foreign, on a Rust function that calls it";
        return Some(Error::new_spanned(item, message));
    }
    let methods = "put it on each of its methods that should record a span";
    let functions = "put it on each of its functions that should record a span";
    let (at, what, instead) = match syn::parse2::<Item>(item).ok()? {
        Item::Fn(_) => return None,
        Item::Struct(item) => (item.struct_token.span(), "a struct", methods),
        Item::Enum(item) => (item.enum_token.span(), "an enum", methods),
        Item::Union(item) => (item.union_token.span(), "a union", methods),
        Item::Impl(item) => (item.impl_token.span(), "an `impl`", methods),
        Item::Trait(item) => {
            (item.trait_token.span(), "a trait", "put it on methods with a body, here or in its impls")
        }
        Item::Mod(item) => (item.mod_token.span(), "a module", functions),
        Item::ForeignMod(item) => {
            (item.abi.extern_token.span(), "an `extern` block", "put it on functions that call these")
        }
        Item::Const(item) => (item.const_token.span(), "a constant", "move it to a function"),
        Item::Static(item) => (item.static_token.span(), "a static", "move it to a function"),
        _ => (Span::call_site(), "this", "move it to a function"),
    };
    Some(Error::new(at, format!("`#[span_fn]` goes on a function, not on {what}: {instead}")))
}
