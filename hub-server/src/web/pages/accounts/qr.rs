//! A QR code as a drawing in the page: no image to load, no script. Pure.

use qrcode::{Color, QrCode};

/// Light modules around the code, as many as readers need (ISO/IEC 18004).
const QUIET: usize = 4;

/// `text` as an SVG element, dark on white in any colour scheme. `None` if it is too long
/// for a code.
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let dark = modules.iter().enumerate().filter(|(_, color)| **color == Color::Dark);
    let path: String = dark
        .map(|(index, _)| format!("M{} {}h1v1h-1z", index % width + QUIET, index / width + QUIET))
        .collect();
    let side = width + 2 * QUIET;
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"QR code for the app\" viewBox=\"0 0 {side} {side}\" width=\"220\" height=\"220\" shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_without_what_a_strict_policy_forbids() {
        let drawn = svg("otpauth://totp/hub:ada?secret=JBSWY3DPEHPK3PXP").unwrap();
        // The finder pattern in the upper left corner.
        assert!(drawn.contains("M4 4h1v1h-1zM5 4h1v1h-1z"), "{drawn}");
        for forbidden in ["style", "href", "script", "JBSW"] {
            assert!(!drawn.contains(forbidden), "{forbidden}");
        }
        assert_eq!(svg(&"x".repeat(5000)), None);
    }
}
