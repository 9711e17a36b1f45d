//! Widgets: add, change the plan, remove. None of them touches a token.

use domain::{Account, AccountCommand, AccountId, Actor, Authority, WidgetId, account::Plan};
use engine::{Committed, Decision, StoreError, Unit};

use crate::{
    Commands, Context, Error,
    allowance::{self, Change},
};

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
        let metadata = self.metadata(context);
        match self.store.run(&metadata, &Tell { commands: self, actor: metadata.actor, account, command }).await {
            Ok(((), committed)) => Ok(committed),
            // No other row of such a unit can refuse it.
            Err(Error::Store(StoreError::Refused)) => {
                let (database, actor) = (self.store.database(), metadata.actor);
                let spent = allowance::spent(database, Change::Edit, actor, account, metadata.at).await?;
                Err(spent.map_or(Error::Store(StoreError::Conflict), Error::Spent))
            }
            Err(error) => Err(error),
        }
    }
}

struct Tell<'a> {
    commands: &'a Commands,
    actor: Actor,
    account: AccountId,
    command: AccountCommand,
}

impl Decision for Tell<'_> {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        unit.execute::<Account>(self.account, self.command.clone()).await?;
        // What takes away is never refused.
        let takes = matches!(self.command, AccountCommand::RemoveWidget { .. } | AccountCommand::RevokeAccess { .. });
        if unit.events() > 0 && !takes {
            allowance::charge(self.commands.store.database(), unit, (self.actor, Change::Edit), self.account).await?;
        }
        Ok(())
    }
}
