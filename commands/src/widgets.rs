//! Widgets: add, change the plan, remove. None of them touches a token.

use domain::{Account, AccountCommand, AccountError, AccountId, Actor, Authority, WidgetId, account::Plan};
use engine::{Committed, Decision, Query, StoreError, Unit, sql};

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

    /// The account that a widget was added to, by the row that was committed with that.
    ///
    /// # Errors
    /// When there was never such a widget.
    pub async fn account_of(&self, widget: WidgetId) -> Result<AccountId, Error> {
        let account: Option<String> = sql("SELECT account_id FROM widget_accounts WHERE widget_id = $1")
            .bind(widget.to_string())
            .scalar_optional(self.store.database())
            .await?;
        let unreadable = |_| StoreError::Unreadable("a widget without an account's id".to_owned());
        Ok(account.ok_or(Error::Missing("widget"))?.parse().map_err(unreadable)?)
    }

    /// Gives one command to one account.
    pub(crate) async fn tell_account(
        &self,
        account: AccountId,
        command: AccountCommand,
        context: &Context,
    ) -> Result<Committed, Error> {
        // Of an account whose token's history can't be read nothing is changed: no view could show it.
        self.token(account).await?;
        let metadata = self.metadata(context);
        match self
            .store
            .run(&metadata, &Tell { commands: self, actor: metadata.actor, account, command: command.clone() })
            .await
        {
            Ok(((), committed)) => Ok(committed),
            // Nothing else that such a unit writes can be refused.
            Err(Error::Store(StoreError::Refused)) => {
                if let AccountCommand::AddWidget { widget, .. } = command
                    && self.account_of(widget).await.is_ok_and(|owner| owner != account)
                {
                    return Err(AccountError::WidgetOfAnother.into());
                }
                let (database, actor) = (self.store.database(), metadata.actor);
                let spent = allowance::spent(database, Change::Edit, actor, account, metadata.at).await?;
                Err(spent.map_or(Error::Store(StoreError::Conflict), Error::Spent))
            }
            Err(error) => Err(error),
        }
    }
}

/// A widget belongs to one account: an id that another one has is refused, for views could not show it.
fn belongs(widget: WidgetId, account: AccountId) -> Query {
    sql("INSERT INTO widget_accounts (widget_id, account_id) VALUES ($1, $2) ON CONFLICT (widget_id) DO UPDATE \
         SET account_id = excluded.account_id WHERE widget_accounts.account_id = excluded.account_id")
    .bind(widget.to_string())
    .bind(account.to_string())
    .guarded()
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
        if let (AccountCommand::AddWidget { widget, .. }, true) = (&self.command, unit.events() > 0) {
            unit.write(belongs(*widget, self.account));
        }
        // What takes away is never refused.
        let takes = matches!(self.command, AccountCommand::RemoveWidget { .. } | AccountCommand::RevokeAccess { .. });
        if unit.events() > 0 && !takes {
            allowance::charge(self.commands.store.database(), unit, (self.actor, Change::Edit), self.account).await?;
        }
        Ok(())
    }
}
