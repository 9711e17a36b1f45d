//! Widgets: add, change the plan, remove. None of them touches a token.

use domain::{Account, AccountCommand, AccountId, Authority, WidgetId, account::Plan};
use store::{Committed, Decision, Unit};

use crate::{Commands, Context, Error};

impl Commands {
    /// Adds a widget.
    ///
    /// # Errors
    /// When the account is missing, `by` has no right on it, or it has too many.
    pub async fn add_widget(
        &self,
        account: AccountId,
        widget: WidgetId,
        plan: Plan,
        by: Authority,
        context: &Context,
    ) -> Result<Committed, Error> {
        self.tell_account(account, AccountCommand::AddWidget { widget, plan, by }, context).await
    }

    /// Changes a widget's plan.
    ///
    /// # Errors
    /// When the account has no such widget, or `by` has no right on it.
    pub async fn change_widget_plan(
        &self,
        account: AccountId,
        widget: WidgetId,
        plan: Plan,
        by: Authority,
        context: &Context,
    ) -> Result<Committed, Error> {
        self.tell_account(account, AccountCommand::ChangeWidgetPlan { widget, plan, by }, context).await
    }

    /// Removes a widget.
    ///
    /// # Errors
    /// When the account has no such widget, or `by` has no right on it.
    pub async fn remove_widget(
        &self,
        account: AccountId,
        widget: WidgetId,
        by: Authority,
        context: &Context,
    ) -> Result<Committed, Error> {
        self.tell_account(account, AccountCommand::RemoveWidget { widget, by }, context).await
    }

    /// Gives one command to one account.
    pub(crate) async fn tell_account(
        &self,
        account: AccountId,
        command: AccountCommand,
        context: &Context,
    ) -> Result<Committed, Error> {
        let ((), committed) = self.store.run(&self.metadata(context), &Tell { account, command }).await?;
        Ok(committed)
    }
}

struct Tell {
    account: AccountId,
    command: AccountCommand,
}

impl Decision for Tell {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        Ok(unit.execute::<Account>(self.account, self.command.clone()).await?)
    }
}
