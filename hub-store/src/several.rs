//! What belongs to several users, read at once instead of user by user.

use std::{collections::BTreeMap, iter};

use crate::{StoreError, UserId, engine::Engine, statement::Statement, value::Value};

/// How many users one statement is about.
const AT_ONCE: usize = 50;

/// The parameters that stand for them: a text cannot have as many as there happen to
/// be, in both engines.
macro_rules! users {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,  \
         $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33,  \
         $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49,  \
         $50"
    };
}
pub(crate) use users;

/// The text `column` of the rows of these users, in the order of the statement. Each
/// row names its user in `user_id`.
pub(crate) async fn texts(
    engine: &Engine,
    statement: &Statement,
    users: &[UserId],
    table: &'static str,
    column: &'static str,
) -> Result<BTreeMap<UserId, Vec<String>>, StoreError> {
    let mut found: BTreeMap<UserId, Vec<String>> = BTreeMap::new();
    for some in users.chunks(AT_ONCE) {
        // Nobody has the number 0.
        let nobody = iter::repeat(UserId::new(0));
        let values: Vec<Value<'_>> =
            some.iter().copied().chain(nobody).take(AT_ONCE).map(Value::from).collect();
        for row in engine.read(statement, &values).await? {
            let fields = row.of(table);
            let user = UserId::new(fields.int("user_id")?);
            found.entry(user).or_default().push(fields.text(column)?);
        }
    }
    Ok(found)
}
