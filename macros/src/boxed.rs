//! Bodies that end in `Box::pin(future)`, such as those that `#[async_trait]` writes.

use proc_macro2::{Group, TokenStream};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, ExprAsync, ExprClosure, ExprReturn, ExprTry, Item, Macro, Stmt};

/// The block `body`, with `instrument` applied to the future inside the final `Box::pin(..)`; none if the body
/// does not end so, or may return some other future before.
pub fn instrument_in_place(body: &Group, instrument: impl FnOnce(&TokenStream) -> TokenStream) -> Option<TokenStream> {
    let mut block: Block = syn::parse2(body.to_token_stream()).ok()?;
    if may_leave_early(&mut block) {
        return None;
    }
    let Some(Stmt::Expr(Expr::Call(call), None)) = block.stmts.last_mut() else { return None };
    let Expr::Path(function) = &*call.func else { return None };
    let names: Vec<_> = function.path.segments.iter().map(|segment| &segment.ident).collect();
    if !matches!(names[..], [.., boxed, pin] if boxed == "Box" && pin == "pin") || call.args.len() != 1 {
        return None;
    }
    let future = call.args.first_mut()?;
    *future = Expr::Verbatim(instrument(&future.to_token_stream()));
    Some(block.into_token_stream())
}

/// Whether the function can be left other than by the end of this block, or by a panic. A macro may hide a `return`.
fn may_leave_early(block: &mut Block) -> bool {
    struct Exits(bool);
    impl VisitMut for Exits {
        fn visit_expr_return_mut(&mut self, _: &mut ExprReturn) {
            self.0 = true;
        }
        fn visit_expr_try_mut(&mut self, _: &mut ExprTry) {
            self.0 = true;
        }
        fn visit_macro_mut(&mut self, _: &mut Macro) {
            self.0 = true;
        }
        // What these contain does not leave this function.
        fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
        fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
        fn visit_item_mut(&mut self, _: &mut Item) {}
    }
    let mut exits = Exits(false);
    visit_mut::visit_block_mut(&mut exits, block);
    exits.0
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    /// The body after `instrument`, which here is `wrap(..)`.
    fn instrumented(body: &TokenStream) -> Option<String> {
        let block = syn::parse2(quote!({ #body })).unwrap();
        instrument_in_place(&block, |future| quote!(wrap(#future))).map(|tokens| tokens.to_string())
    }

    #[track_caller]
    fn assert_in_place(body: &TokenStream, expected: &TokenStream) {
        assert_eq!(instrumented(body), Some(quote!({ #expected }).to_string()));
    }

    #[test]
    fn the_future_of_a_final_box_pin_is_wrapped_inside_its_box() {
        assert_in_place(&quote!(Box::pin(async move { 1 })), &quote!(Box::pin(wrap(async move { 1 }))));
        assert_in_place(
            &quote!(let x = self.x.clone(); ::std::boxed::Box::pin(future(x))),
            &quote!(let x = self.x.clone(); ::std::boxed::Box::pin(wrap(future(x)))),
        );
    }

    #[test]
    fn leaving_something_inside_the_body_is_not_leaving_the_body() {
        assert_in_place(
            &quote!(let f = |x| { return x; }; Box::pin(async move { return g!(f(a()?)) })),
            &quote!(let f = |x| { return x; }; Box::pin(wrap(async move { return g!(f(a()?)) }))),
        );
    }

    #[test]
    fn a_body_that_may_return_another_future_is_left_alone() {
        assert_eq!(instrumented(&quote!(if x { return y; } Box::pin(z))), None);
        assert_eq!(instrumented(&quote!(let x = y?; Box::pin(x))), None);
        assert_eq!(instrumented(&quote!(ensure!(x); Box::pin(y))), None);
        assert_eq!(instrumented(&quote!(Box::pin(make!(x)))), None);
    }

    #[test]
    fn a_body_that_ends_in_anything_else_is_left_alone() {
        for body in [quote!(), quote!(x), quote!(x.boxed()), quote!(Box::new(x)), quote!(Box::pin(x);), quote!(pin(x))]
        {
            assert_eq!(instrumented(&body), None);
        }
    }
}
