//! The examples do what they say.

#[path = "../examples/bank.rs"]
mod bank;

#[test]
fn a_bank_moves_money_and_shows_balances() {
    bank::main().expect("it runs to its end");
}
