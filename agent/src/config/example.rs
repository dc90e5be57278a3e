//! The configuration file as a manual: every setting, its default and what it means, made from the code itself.

use super::Config;
use schemars::schema_for;
use serde_json::Value;

/// A TOML file with every setting at its default, commented out.
pub fn example_toml() -> String {
    let schema = serde_json::to_value(schema_for!(Config)).expect("a schema is JSON");
    let defaults = serde_json::to_value(Config::default()).expect("the defaults are JSON");
    let mut text = String::from(
        "# parlor's settings, each with its default. Copy this to parlor.toml and take away the # before what you change.\n\
         # A setting can also come from the environment (PARLOR__TURN__MODE=mute) or a flag (--set turn.mode=mute).\n",
    );
    section(&mut text, "", &schema, &schema, &defaults);
    text
}

fn section(text: &mut String, path: &str, root: &Value, schema: &Value, defaults: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let (tables, leaves): (Vec<_>, Vec<_>) = properties
        .iter()
        .partition(|(key, _)| defaults[key.as_str()].is_object());
    if !path.is_empty() {
        text.push_str(&format!("\n[{path}]\n"));
    }
    for (key, property) in leaves {
        comment(text, property);
        match &defaults[key.as_str()] {
            Value::Null => text.push_str(&format!("# {key} =\n")),
            value => text.push_str(&format!("# {key} = {value}\n")),
        }
    }
    for (key, property) in tables {
        let below = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        section(
            text,
            &below,
            root,
            resolve(root, property),
            &defaults[key.as_str()],
        );
    }
}

fn comment(text: &mut String, property: &Value) {
    if let Some(description) = property["description"].as_str() {
        for line in description.lines() {
            text.push_str(&format!("# {line}\n"));
        }
    }
}

/// Follows a `$ref` to the definition that it names.
fn resolve<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    let target = property["$ref"]
        .as_str()
        .or_else(|| property.pointer("/allOf/0/$ref").and_then(Value::as_str));
    match target.and_then(|target| target.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap_or(property),
        None => property,
    }
}
