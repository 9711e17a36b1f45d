//! The examples do what they say.

#[path = "../../examples/bank.rs"]
mod bank;
#[path = "../../examples/jobs.rs"]
mod jobs;

#[test]
fn a_bank_moves_money_and_shows_balances() {
    bank::main().expect("it runs to its end");
}

#[test]
fn a_job_is_ended_with_its_result_by_the_worker_that_holds_it() {
    jobs::main().expect("it runs to its end");
}
