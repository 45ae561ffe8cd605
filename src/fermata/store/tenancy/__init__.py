"""What one customer sees of a store that holds several: who owns each table's rows, and the walls made of that."""
