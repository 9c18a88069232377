//! What a function returns, as far as the written type tells.

use proc_macro2::TokenStream;
use syn::visit_mut::{self, VisitMut};
use syn::{GenericArgument, Path, PathArguments, PathSegment, ReturnType, Type, TypeParamBound, parse_quote};

/// What a function that is not `async` returns.
pub enum Returned {
    /// `impl Future<Output = T>`, perhaps with further bounds.
    Future,
    /// `Pin<Box<dyn Future<Output = T>>>`, or the aliases `BoxFuture` and `LocalBoxFuture` for it.
    BoxedFuture,
    /// Anything else.
    Value,
}

impl Returned {
    pub fn of(output: &ReturnType) -> Self {
        match output {
            ReturnType::Type(_, ty) => Self::of_type(ty),
            ReturnType::Default => Returned::Value,
        }
    }

    fn of_type(ty: &Type) -> Self {
        match bare(ty) {
            Type::ImplTrait(ty) if ty.bounds.iter().any(is_future) => Returned::Future,
            Type::Path(ty) if is_boxed_future(&ty.path) => Returned::BoxedFuture,
            _ => Returned::Value,
        }
    }
}

/// The type without the parentheses, or the invisible ones that a macro puts, around it.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(ty) => bare(&ty.elem),
        Type::Group(ty) => bare(&ty.elem),
        _ => ty,
    }
}

fn is_boxed_future(path: &Path) -> bool {
    let Some(last) = path.segments.last() else { return false };
    if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
        return true;
    }
    let Some(Type::Path(boxed)) = argument_of(last, "Pin") else { return false };
    match boxed.path.segments.last().and_then(|last| argument_of(last, "Box")) {
        Some(Type::TraitObject(object)) => object.bounds.iter().any(is_future),
        Some(Type::ImplTrait(object)) => object.bounds.iter().any(is_future),
        _ => false,
    }
}

/// `T`, if the segment is `name<T>`.
fn argument_of<'a>(segment: &'a PathSegment, name: &str) -> Option<&'a Type> {
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) if segment.ident == name => match arguments.args.first() {
            Some(GenericArgument::Type(ty)) => Some(bare(ty)),
            _ => None,
        },
        _ => None,
    }
}

fn is_future(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Future"),
        _ => false,
    }
}

/// The type as it can be written inside the function's body, where an `impl Trait` is to be inferred.
pub fn in_body(mut ty: Type) -> Type {
    struct Infer;
    impl VisitMut for Infer {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            match ty {
                Type::ImplTrait(_) => *ty = parse_quote!(_),
                _ => visit_mut::visit_type_mut(self, ty),
            }
        }
    }
    Infer.visit_type_mut(&mut ty);
    ty
}

/// The type that an `async fn` with this signature evaluates to. `!` can be written only as what a function returns:
/// elsewhere it goes by a name that `spanring` has for it.
pub fn output_of_async(output: &ReturnType, krate: &TokenStream) -> Type {
    match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) if matches!(bare(ty), Type::Never(_)) => parse_quote!(#krate::__private::Never),
        ReturnType::Type(_, ty) => (**ty).clone(),
    }
}
