//! What `#[span_fn]` makes of a function.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Ident, LitStr, Path, Result, ReturnType, Token, parse_quote, parse_quote_spanned};

use crate::args::{Args, Field};
use crate::boxed;
use crate::function::Function;
use crate::params;
use crate::returns::{Returned, in_body, output_of_async};

/// The expansion. After an error the item stays as it was, so that nothing else is reported about it.
pub fn span_fn(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(args, item.clone()).unwrap_or_else(|error| {
        let error = Error::into_compile_error(error);
        quote!(#error #item)
    })
}

fn expand(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let args: Args = syn::parse2(args)?;
    let mut function = Function::read(item)?;
    let recorder = Recorder::new(args, &function.sig.ident);
    let body = if function.sig.asyncness.is_some() {
        async_fn(&mut function, &recorder)
    } else {
        match Returned::of(&function.sig.output) {
            Returned::Future => future_fn(&mut function, &recorder),
            Returned::BoxedFuture => boxed_future_fn(&mut function, &recorder),
            Returned::Value => plain_fn(&mut function, &recorder),
        }
    };
    Ok(function.with_body(body))
}

/// An `async fn` becomes a `fn` that makes the wrapper when it is called, around the `async` block that the compiler
/// would have made of the body. The `impl Future` that it returns captures every lifetime in scope, as that of an
/// `async fn` does: its tokens belong to this crate's edition, 2024, also in a crate of an earlier edition.
fn async_fn(function: &mut Function, recorder: &Recorder) -> TokenStream {
    // Where the compiler points when it explains something about the future.
    let location = Span::mixed_site().located_at(function.sig.asyncness.span());
    function.sig.asyncness = None;
    if function.attrs.iter().any(|attr| attr.path().is_ident("must_use")) {
        // It said something on an `async fn`, and repeats what is known about an `impl Future`.
        function.attrs.push(parse_quote!(#[allow(clippy::double_must_use)]));
    }

    let output = output_of_async(&function.sig.output, &recorder.krate);
    function.sig.output = parse_quote_spanned!(location=> -> impl ::core::future::Future<Output = #output>);
    let bindings = captured_parameters(function, recorder);
    let known_output = in_body(output);
    let body = &function.body;
    let future = quote_spanned! {location=>
        async move {
            // Never taken: it tells the compiler the output before the body, in which `?` and coercions depend on it.
            #[allow(unreachable_code, unreachable_patterns)]
            if let ::core::option::Option::Some(output) = ::core::option::Option::None::<#known_output> {
                return output;
            }
            #bindings
            // If the body were the block's last expression, clippy would take one that evaluates to a future for a
            // mistake.
            #[allow(clippy::diverging_sub_expression, clippy::type_complexity)]
            let output: #known_output = #body;
            #[allow(unreachable_code)]
            return output;
        }
    };
    recorder.instrument(&future)
}

/// A `fn` that returns `impl Future`: the body runs when the function is called, and the wrapper goes around its
/// result.
fn future_fn(function: &mut Function, recorder: &Recorder) -> TokenStream {
    let result = called_body(function, recorder, &ReturnType::Default);
    recorder.instrument(&result)
}

/// A `fn` that returns a boxed future: the wrapper goes into the box where the body makes it, or else into a second
/// one.
fn boxed_future_fn(function: &mut Function, recorder: &Recorder) -> TokenStream {
    if let Some(body) = boxed::instrument_in_place(&function.body, |future| recorder.instrument(future)) {
        return body;
    }
    let output = function.sig.output.clone();
    let result = called_body(function, recorder, &output);
    let future = recorder.instrument(&result);
    quote!(::std::boxed::Box::pin(#future))
}

/// The result of the body, also where the body leaves by `return` or `?`.
fn called_body(function: &mut Function, recorder: &Recorder, output: &ReturnType) -> TokenStream {
    let bindings = captured_parameters(function, recorder);
    let krate = &recorder.krate;
    let body = &function.body;
    let output = match output {
        ReturnType::Type(arrow, ty) => {
            let ty = in_body((**ty).clone());
            quote!(#arrow #ty)
        }
        ReturnType::Default => TokenStream::new(),
    };
    quote! {
        #krate::__private::call(move || #output {
            #bindings
            #body
        })
    }
}

/// The statements that bind the parameters at the start of a body that moves into a future or a closure.
fn captured_parameters(function: &mut Function, recorder: &Recorder) -> TokenStream {
    if params::has_mut_self(&function.sig) {
        function.attrs.push(parse_quote!(#[allow(unused_assignments)]));
    }
    let mut mentioned = Vec::new();
    recorder.fields.iter().for_each(|field| identifiers(field.value().to_token_stream(), &mut mentioned));
    params::capture(&mut function.sig, &mentioned)
}

/// Every identifier in some code.
fn identifiers(code: TokenStream, found: &mut Vec<Ident>) {
    for token in code {
        match token {
            TokenTree::Ident(name) => found.push(name),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Any other `fn`: its call is a thread span, which ends after the last temporaries of the body are dropped.
///
/// If it may fail by an `Err`, the body runs in a closure, so that its result is seen wherever it leaves.
fn plain_fn(function: &mut Function, recorder: &Recorder) -> TokenStream {
    if recorder.err {
        let output = function.sig.output.clone();
        let result = called_body(function, recorder, &output);
        return recorder.scope_of(&result);
    }
    let scope = recorder.scope();
    let body = &function.body;
    quote!({ #scope #body })
}

/// Writes the code that records this function's span.
struct Recorder {
    /// The path of `spanring`.
    krate: TokenStream,
    name: LitStr,
    /// Where the span says that it is in the source: the function's name.
    location: Span,
    /// The span's attributes.
    fields: Punctuated<Field, Token![,]>,
    /// Whether a result that is an `Err` makes the span a failed one.
    err: bool,
}

impl Recorder {
    fn new(args: Args, function: &Ident) -> Self {
        let location = function.span();
        let krate = args.krate.map_or_else(|| quote_spanned!(location=> ::spanring), Path::into_token_stream);
        Recorder {
            krate: krate.into_iter().map(|token| located_at(token, location)).collect(),
            name: args.name.unwrap_or_else(|| LitStr::new(&function.unraw().to_string(), location)),
            location,
            fields: args.fields.unwrap_or_default(),
            err: args.err,
        }
    }

    /// `future`, recorded from its first poll to its end.
    fn instrument(&self, future: &TokenStream) -> TokenStream {
        let krate = &self.krate;
        if self.fields.is_empty() && !self.err {
            let description = self.description();
            return quote! {
                #krate::spans::InstrumentedFuture::with_verdict(#future, #description, #krate::__verdict!())
            };
        }
        let (asked, site, declarations) = self.site();
        let on_output = if self.err { quote!(#krate::spans::FailOnErr) } else { quote!(()) };
        // The attributes first: the body may take what they are made of.
        quote!({
            #declarations
            #krate::__private::instrument_with(#future, #site, #asked, #on_output)
        })
    }

    /// The static with name and place.
    fn description(&self) -> TokenStream {
        let krate = &self.krate;
        let name = &self.name;
        let metadata = Ident::new("SPAN", Span::mixed_site());
        // The braces keep the static out of the body's sight.
        let declaration = quote_spanned!(self.location=> #krate::static_span_desc!(#metadata, #name););
        quote!({ #declaration &#metadata })
    }

    /// In which generation the span begins and by which verdict; that static with the attributes, if somebody records; and the declarations of
    /// both.
    fn site(&self) -> (TokenStream, Ident, TokenStream) {
        let (krate, fields, value) = (&self.krate, &self.fields, self.description());
        let [description, verdict, generation, site] =
            ["description", "verdict", "generation", "site"].map(|name| Ident::new(name, Span::mixed_site()));
        let declarations = quote! {
            let #description = #value;
            let #verdict = #krate::__verdict!();
            let #generation = #krate::__private::generation();
            let #site = #krate::__unless_refused!(
                #generation,
                #verdict,
                #krate::__private::static_with(#description, #krate::__attributes!(#fields))
            );
        };
        (quote!(#generation, #verdict), site, declarations)
    }

    /// `result`, with a thread span around it that fails if that is an `Err`.
    fn scope_of(&self, result: &TokenStream) -> TokenStream {
        let (krate, (_, site, declarations)) = (&self.krate, self.site());
        let guard = Ident::new("guard", Span::mixed_site());
        quote!({
            #declarations
            let #guard = #krate::spans::ThreadSpanGuard::prepare_with(#site).begun();
            #krate::__private::end_by(#guard, #result)
        })
    }

    /// A guard for the rest of the function.
    fn scope(&self) -> TokenStream {
        let krate = &self.krate;
        let name = &self.name;
        let fields = &self.fields;
        if fields.is_empty() {
            return quote_spanned!(self.location=> #krate::span_scope!(#name););
        }
        quote_spanned!(self.location=> #krate::span_scope!(#name, #fields);)
    }
}

/// The same token, as if it were written at `location`: `line!()` is the line at which the call of a macro starts.
fn located_at(mut token: TokenTree, location: Span) -> TokenTree {
    token.set_span(token.span().located_at(location));
    token
}
