"""Journal up; bookings, rights and commands down."""
