//! Application events: durable ones become outcomes, ephemeral ones go straight to delivery.
