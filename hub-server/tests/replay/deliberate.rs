//! Where this hub answers otherwise than the recorded one, on purpose: why, and in
//! what exactly.

/// Why an exchange is answered otherwise, and every difference it may have.
pub(crate) struct Deliberate {
    pub(crate) why: &'static str,
    pub(crate) differences: &'static [&'static str],
}

/// The reasons, by the numbers of the exchanges.
pub(crate) fn deliberate(seq: u32) -> Option<Deliberate> {
    let (why, differences): (_, &'static [&'static str]) = match seq {
        9..=13 | 278 | 279 => (
            "a sign-in page asked for again keeps the XSRF token that is valid",
            &["cookie _xsrf is not set"],
        ),
        26 => ("the fake server is up by then", &["status 302 instead of 200"]),
        60 => (
            "the service's half of a sign-in is not in the recording, so it has no token",
            &[".api_tokens has 3 instead of 4"],
        ),
        74 | 328 => (
            "no hub since 0.8 has set jupyterhub-services; a cookie is deleted as it was set",
            &[
                r#"cookie jupyterhub-hub-login with {"httponly", "outlives the browser", "path=/hub/"} instead of {"outlives the browser", "path=/hub/"}"#,
                "cookie jupyterhub-services is not set",
            ],
        ),
        248 => {
            ("the route of a service that was deleted is gone at once", &["no ./services/ext1/"])
        }
        249 => (
            "the route of a service that was deleted is gone at once",
            &["._pagination.total is 3 instead of 4"],
        ),
        254 => (
            "our logo is an SVG, and small enough to be sent whole",
            &[
                "content-type image/svg+xml instead of image/png",
                "no field accept-ranges",
                "no field last-modified",
            ],
        ),
        255 => ("a page for scrapers sets no cookies", &["cookie _xsrf is not set"]),
        256 | 257 => ("a page that a proxy asks for sets no cookies", &["cookie _xsrf is not set"]),
        263 => ("their own script", &["status 404 instead of 200"]),
        296 => (
            "no SHA-256 digest has 45 characters: such a challenge is refused",
            &["status 302 instead of 200"],
        ),
        297 => (
            "no SHA-256 digest has 45 characters: such a challenge is refused",
            &["status 403 instead of 302"],
        ),
        298 => (
            "there is no code after the refusal before it",
            &[r#".error is "invalid_grant" instead of "invalid_request""#, "no .error_description"],
        ),
        349 | 350 => (
            "shares with groups count (a defect of theirs that the contract names)",
            &[r#".scopes: without [], with ["access:servers!server=own/"]"#],
        ),
        354 => ("400 with a reason where theirs crashes", &["status 400 instead of 500"]),
        _ => return words(seq),
    };
    Some(Deliberate { why, differences })
}

/// Messages that name more, or say it without the parts of a Python program.
fn words(seq: u32) -> Option<Deliberate> {
    let differences: &'static [&'static str] = match seq {
        141 => &[
            r#".message is "Unrecognized state filter: \"bogus\"; use active, ready or inactive" instead of "Unrecognized state filter: 'bogus'""#,
        ],
        142 => &[
            r#".message is "sort: \"bogus\" is no order; use id, name or last_activity, with - in front for the other way round" instead of "sort must be 'id', 'name', or 'last_activity', not 'bogus'""#,
        ],
        143 => &[
            r#".message is "Invalid argument type, limit must be an integer" instead of "Invalid argument type, offset and limit must be integers""#,
        ],
        150 => &[
            r#".message is "Only an administrator may make an administrator" instead of "Only admins can grant admin permissions""#,
        ],
        151 => &[
            r#".message is "Invalid JSON keys: unknown field `bogus`, expected `usernames` or `admin`" instead of "Invalid JSON keys: {'bogus': 1}""#,
        ],
        154 => &[
            r#".message is "Invalid username: \"bad/name\": the name contains `/`" instead of "Invalid username: bad/name""#,
        ],
        157 => &[
            r#".message is "Invalid JSON keys: invalid type: string \"x\", expected a boolean" instead of "user.admin must be <class 'bool'>, not: <class 'str'>""#,
        ],
        171 => &[
            r#".message is "Invalid JSON in body: it must be an object" instead of "Must specify properties""#,
        ],
        // Theirs lists what the scope implies as well.
        176 => &[
            r#".message is "Not assigning requested scopes admin:users not held by User u1" instead of "#,
        ],
        177 => &[
            r#".message is "no such scope: \"nosuchscope\"" instead of "\"Scope 'nosuchscope' for token does not exist\"""#,
        ],
        180 => &[
            r#".message is "token expires_in must be null or integer, not \"x\"" instead of "token expires_in must be null or integer, not 'x'""#,
        ],
        200 => &[
            r#".message is "Invalid server_name: \"Bad_Name\". Use up to 30 lower-case letters, digits and single dashes, and begin with a letter." instead of "Invalid server_name: 'Bad_Name'""#,
        ],
        // What is not there and what may not be seen are told with the same words.
        206 => &[
            r#".message is "No access to resources or resources not found" instead of "u1 has no server named 'named2'""#,
        ],
        242 => &[
            r#".message is "No access to resources or resources not found" instead of "No such service: none""#,
        ],
        213 => &[
            r#".message is "The body must have last_activity or servers" instead of "body must contain at least one of `last_activity` or `servers`""#,
        ],
        215 => &[
            r#".message is "Not a valid ISO8601 timestamp: \"bad\"" instead of "Not a valid timestamp: 'bad'""#,
        ],
        216 => &[
            r#".message is "Activity 2030-01-01T00:00:00Z is in the future; check the server's clock" instead of "Rejecting activity from more than an hour in the future: 2030-01-01T00:00:00Z""#,
        ],
        218 => &[
            r#".message is "Specify exactly one of `user` or `group`" instead of "1 validation error"#,
        ],
        230 => &[
            r#".message is "expires_in must be from 60 to 31536000 seconds" instead of "1 validation error"#,
        ],
        245 => &[
            r#".message is "Can not create managed service man1 at runtime; write it into the configuration" instead of "Can not create managed service man1 at runtime""#,
        ],
        _ => return None,
    };
    Some(Deliberate { why: "our words", differences })
}

impl Deliberate {
    /// What was found beyond it, and what of it was not found.
    pub(crate) fn compare(&self, found: &[String]) -> Vec<String> {
        let is = |expected: &str, found: &String| found.starts_with(expected);
        let more = found
            .iter()
            .filter(|found| !self.differences.iter().any(|expected| is(expected, found)))
            .cloned();
        let gone = self
            .differences
            .iter()
            .filter(|expected| !found.iter().any(|found| is(expected, found)))
            .map(|expected| format!("does not differ any more ({}): {expected}", self.why));
        more.chain(gone).collect()
    }
}
