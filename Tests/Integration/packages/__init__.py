"""The packages and the README's commands, on machines that have nothing but a distribution's own."""
