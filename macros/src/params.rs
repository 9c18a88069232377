//! The parameters of a function whose body moves into a future or a closure.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, FnArg, Ident, Pat, PatType, Signature};

/// Gives every parameter a name that the body's wrapper can capture, and returns the statements for the start of the
/// wrapper: they capture every parameter whole and then bind the patterns as they were written. The compiler itself
/// puts such statements at the start of an `async fn`, so parameters are dropped in the same order.
///
/// A parameter that is among `mentioned` is used, whether the body uses it or not.
pub fn capture(sig: &mut Signature, mentioned: &[Ident]) -> TokenStream {
    sig.inputs.iter_mut().enumerate().map(|(index, input)| capture_one(index, input, mentioned)).collect()
}

fn capture_one(index: usize, input: &mut FnArg, mentioned: &[Ident]) -> TokenStream {
    let parameter = match input {
        FnArg::Receiver(receiver) => {
            let this = &receiver.self_token;
            // Without it, a body that uses one field of `self` would capture that field only.
            return quote!(let _ = &#this;);
        }
        FnArg::Typed(parameter) => parameter,
    };
    let conditions = conditions(parameter);
    let levels = take_lint_levels(parameter);
    // A parameter that begins with `_` is used by its capture, but not by the user.
    let allow = quote!(#[allow(clippy::used_underscore_binding, clippy::no_effect_underscore_binding)]);
    if let Some(name) = plain_name(&parameter.pat) {
        let binding = std::mem::replace(&mut *parameter.pat, Pat::Verbatim(name.to_token_stream()));
        let unused = mentioned.contains(&name).then(|| quote!(#[allow(unused_variables)]));
        return quote!(#(#conditions)* #allow #unused #(#levels)* let #binding = #name;);
    }
    let name = format_ident!("__arg{index}", span = Span::mixed_site());
    let pattern = std::mem::replace(&mut *parameter.pat, Pat::Verbatim(name.to_token_stream()));
    let capture = quote!(#(#conditions)* let #name = #name;);
    match pattern {
        Pat::Wild(_) => capture,
        _ => quote!(#capture #(#conditions)* #allow #(#levels)* let #pattern = #name;),
    }
}

/// Whether the signature has a `mut self`. The compiler takes what is assigned to a captured one for never read, even
/// if it is dropped.
pub fn has_mut_self(sig: &Signature) -> bool {
    matches!(sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.mutability.is_some())
}

/// The name, if the pattern is `name` or `mut name`.
fn plain_name(pattern: &Pat) -> Option<Ident> {
    match pattern {
        // A capital may be the pattern of a unit struct or a constant, which binds nothing.
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() && !starts_with_capital(&pat.ident) => {
            Some(pat.ident.clone())
        }
        _ => None,
    }
}

fn starts_with_capital(name: &Ident) -> bool {
    name.to_string().starts_with(char::is_uppercase)
}

/// The attributes that may remove the parameter, and with it its binding.
fn conditions(parameter: &PatType) -> Vec<Attribute> {
    parameter.attrs.iter().filter(|attr| is_one_of(attr, &["cfg", "cfg_attr"])).cloned().collect()
}

/// Takes the attributes that set lint levels: they belong to the binding, for the parameter itself is always used.
fn take_lint_levels(parameter: &mut PatType) -> Vec<Attribute> {
    let sets_level = |attr: &Attribute| is_one_of(attr, &["allow", "expect", "warn", "deny", "forbid"]);
    let (levels, others) = parameter.attrs.drain(..).partition(sets_level);
    parameter.attrs = others;
    levels
}

fn is_one_of(attr: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attr.path().is_ident(name))
}
